/** The names under which the node of bench/keys.ts answers the batched read. */
import { nodeCalls } from '../src/wire/node-calls.ts';

export const recordsMethods = {
  default: nodeCalls.records,
  small: `${nodeCalls.records}.small`,
  written: `${nodeCalls.records}.written`,
} as const;

export type RecordsMethod = keyof typeof recordsMethods;
