/** What a router says of a node with replicas: how far its slots are, and the copies it fetches. */
import * as v from 'valibot';
import { DataPlaneError } from '../../base/data-plane-error.ts';
import { openObjectShape, readShape } from '../../config/json-shape.ts';
import type { CommandContext } from '../command.ts';
import { askRouter } from './ask-process.ts';

const statusShape = openObjectShape({
  nodes: v.array(
    openObjectShape({
      name: v.string(),
      pid: v.optional(v.number()),
      error: v.optional(v.string()),
      slots: v.optional(
        v.array(
          openObjectShape({
            slot: v.number(),
            role: v.string(),
            behindMs: v.number(),
            log: v.nullable(v.string()),
          }),
        ),
        [],
      ),
      fetches: v.optional(
        v.array(
          openObjectShape({
            slot: v.number(),
            from: v.string(),
            bytes: v.number(),
            bytesDone: v.number(),
            problem: v.string(),
          }),
        ),
        [],
      ),
    }),
  ),
});

export type ReplicaStatus = v.InferOutput<typeof statusShape>['nodes'][number];

/** Returns undefined for a node that the router does not know. Errors: those of `askRouter`. */
export async function replicaStatus(context: CommandContext, node: string): Promise<ReplicaStatus | undefined> {
  const refuse = (problem: string): never => {
    throw new DataPlaneError('Internal', `the status of the router: ${problem}`);
  };
  const { nodes } = readShape(statusShape, await askRouter(context, '/v1/status'), refuse);
  return nodes.find(({ name }) => name === node);
}
