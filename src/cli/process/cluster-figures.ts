/** What the nodes of a cluster hold, as plans of moves need it. */
import * as v from 'valibot';
import { DataPlaneError } from '../../base/data-plane-error.ts';
import { openObjectShape, readShape } from '../../config/json-shape.ts';
import type { ClusterFigures, CopyFigures } from '../../shardmap/move-plan.ts';
import type { CommandContext } from '../command.ts';
import { askRouter } from './ask-process.ts';

const slotShape = openObjectShape({
  slot: v.number(),
  cursor: v.number(),
  bytes: v.number(),
  role: v.optional(v.string(), 'primary'),
  acts: v.optional(v.boolean(), true),
  behindMs: v.optional(v.number(), 0),
  log: v.optional(v.nullable(v.string()), null),
  state: v.optional(v.string(), 'applying'),
  condition: v.optional(v.string(), 'complete'),
  /** Absent of a node of an earlier version, which splits none. */
  slots: v.optional(v.number()),
  knownSlots: v.optional(v.number()),
  isDividing: v.optional(v.boolean(), false),
  isIndexed: v.optional(v.boolean()),
});
const fetchShape = openObjectShape({
  slot: v.number(),
  from: v.string(),
  bytes: v.number(),
  bytesDone: v.number(),
  problem: v.string(),
  slowedMs: v.optional(v.nullable(v.number()), null),
});
const nodeShape = openObjectShape({
  name: v.string(),
  error: v.optional(v.string()),
  freeBytes: v.optional(v.nullable(v.number()), null),
  log: v.optional(v.nullable(openObjectShape({ url: v.string() })), null),
  slots: v.optional(v.array(slotShape), []),
  fetches: v.optional(v.array(fetchShape), []),
});
const statusShape = openObjectShape({ nodes: v.array(nodeShape), idleNodes: v.optional(v.array(nodeShape), []) });

export type NodeLook = v.InferOutput<typeof nodeShape>;

/** Returns what each node of the map says of itself. Errors: those of `askRouter`. */
export async function lookAtNodes(context: CommandContext): Promise<readonly NodeLook[]> {
  const refuse = (problem: string): never => {
    throw new DataPlaneError('Internal', `the status of the router: ${problem}`);
  };
  const { nodes, idleNodes } = readShape(statusShape, await askRouter(context, '/v1/status'), refuse);
  return [...nodes, ...idleNodes];
}

/** How long entries are counted, to know which slots are busy. */
const countMs = 3_000;

/** Returns what each node that answers holds; with `withLoad`, also how busy its slots are. */
export async function clusterFigures(context: CommandContext, withLoad: boolean): Promise<ClusterFigures> {
  const { clock } = context;
  const startMs = clock.monotonicMs();
  const before = withLoad ? await lookAtNodes(context) : [];
  if (withLoad) await clock.sleep(countMs);
  const nodes = await lookAtNodes(context);
  const seconds = Math.max(0.001, (clock.monotonicMs() - startMs) / 1000);
  const there = nodes.filter(({ error }) => error === undefined);
  return new Map(
    there.map(({ name, slots, freeBytes }) => {
      const earlier = before.find((node) => node.name === name)?.slots ?? [];
      const copies = slots.map(({ slot, bytes, cursor }): CopyFigures => {
        const was = earlier.find((each) => each.slot === slot)?.cursor ?? cursor;
        return { slot, bytes, entriesPerS: Math.max(0, cursor - was) / seconds };
      });
      return [name, { copies, freeBytes }];
    }),
  );
}
