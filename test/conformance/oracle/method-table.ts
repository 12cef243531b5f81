/** The methods whose answers the oracle compares. */
import { actorMethods } from './actor-methods.ts';
import { feedMethods } from './feed-methods.ts';
import { graphMethods } from './graph-methods.ts';
import { listMethods } from './list-methods.ts';
import type { MethodRow } from './method-row.ts';
import { packMethods } from './pack-methods.ts';
import { privateMethods } from './private-methods.ts';
import { recordMethods } from './record-methods.ts';
import { suggestionMethods } from './suggestion-methods.ts';

/** All compared methods. To compare another, add a row to the list of its topic. */
export const methodTable: readonly MethodRow[] = [
  ...recordMethods,
  ...actorMethods,
  ...graphMethods,
  ...feedMethods,
  ...packMethods,
  ...listMethods,
  ...privateMethods,
  ...suggestionMethods,
];
