/** `skyshard promote`: replicas become primaries, by one change of the shard map. */
import * as v from 'valibot';
import { DataPlaneError, operatingFailure } from '../../base/data-plane-error.ts';
import { openObjectShape, readShape } from '../../config/json-shape.ts';
import type { MapJson } from '../../shardmap/map-follower.ts';
import { type CopiesByNode, choosePromotions, mapAfter, type Promotion } from '../../shardmap/promotion.ts';
import { parseShardMap } from '../../shardmap/shard-map.ts';
import type { Command, CommandContext } from '../command.ts';
import { exitCode } from '../exit-code.ts';
import { askRouter } from '../process/ask-process.ts';
import { pushMap } from '../process/push-map.ts';
import { textTable } from '../text-table.ts';

const statusShape = openObjectShape({
  nodes: v.array(
    openObjectShape({
      name: v.string(),
      slots: v.optional(
        v.array(
          openObjectShape({
            slot: v.number(),
            behindMs: v.number(),
            log: v.nullable(v.string()),
            acts: v.optional(v.boolean(), true),
          }),
        ),
      ),
    }),
  ),
});
type Status = v.InferOutput<typeof statusShape>;

/** How often the new primaries are looked at. */
const lookMs = 200;

async function statusOf(context: CommandContext): Promise<Status> {
  const refuse = (problem: string): never => {
    throw new DataPlaneError('Internal', `the status of the router: ${problem}`);
  };
  return readShape(statusShape, await askRouter(context, '/v1/status'), refuse);
}

function copiesOf({ nodes }: Status): CopiesByNode {
  return new Map(nodes.flatMap(({ name, slots }) => (slots === undefined ? [] : [[name, slots]])));
}

function promotionsText(promotions: readonly Promotion[]): string {
  const rows = promotions.map(({ shard, before, after, behindMs }) => [shard, before, after, Math.round(behindMs)]);
  return textTable(['shard', 'primary before', 'after', 'behind ms'], rows);
}

/** A node that is the primary of slots by the map in force. */
export type NewPrimary = { readonly after: string; readonly slots: readonly number[] };

/** Returns whether new primaries act in time: they have applied all that came before. */
export async function untilActing(context: CommandContext, wanted: readonly NewPrimary[]): Promise<boolean> {
  const { clock, settings } = context;
  const endMs = clock.monotonicMs() + settings.timeoutMs;
  for (;;) {
    // The router may be one that starts again with its node.
    const status = await statusOf(context).catch((thrown: unknown) => void operatingFailure(thrown));
    const nodes = status?.nodes ?? [];
    const acting = new Map(nodes.map(({ name, slots = [] }) => [name, slots.filter(({ acts }) => acts)]));
    const doesAct = (node: string, slot: number): boolean =>
      acting.get(node)?.some((copy) => copy.slot === slot) === true;
    if (wanted.every(({ after, slots }) => slots.every((slot) => doesAct(after, slot)))) return true;
    if (clock.monotonicMs() > endMs) return false;
    await clock.sleep(lookMs);
  }
}

/** Errors: those of the choice and of the push, which leave everything as it was. */
export const runPromote: Command = async (context) => {
  const { settings, print, operands } = context;
  const wish = { node: operands[0] ?? null, from: settings.allFrom, shards: settings.shard };
  if (wish.node === null && wish.from === null) {
    throw new DataPlaneError('ConfigInvalid', 'promote: name a node, or --all-from <dead node>, or both', {
      hint: '`skyshard status` shows who is primary and replica of what, and who is down; --dry-run changes nothing.',
    });
  }
  const { map } = (await askRouter(context, '/v1/map')) as { readonly map: MapJson };
  const promotions = choosePromotions(parseShardMap(map), copiesOf(await statusOf(context)), wish);
  const next = mapAfter(map, promotions);
  const what = promotions.map(({ shard, before, after }) => `${shard} from ${before} to ${after}`).join(', ');
  const { epoch, isDryRun } = await pushMap(context, next, `promote ${what}`);
  if (!settings.json) {
    print(`epoch ${epoch} ${isDryRun ? 'can be pushed' : 'is in force'}\n\n${promotionsText(promotions)}`);
  }
  const { shards } = parseShardMap(next);
  const wanted = promotions.map(({ shard, after }) => ({
    after,
    slots: shards.find(({ name }) => name === shard)!.slots,
  }));
  const isActing = isDryRun ? null : await untilActing(context, wanted);
  if (settings.json) print(`${JSON.stringify({ epoch, isDryRun, promotions, isActing }, null, 2)}\n`);
  else if (isActing === true) print('\nthe new primaries take writes\n');
  if (isActing !== false) return exitCode.done;
  throw new DataPlaneError('Unavailable', 'the map is in force, but not all new primaries have read their logs yet', {
    hint: '`skyshard status` says what they wait for; nothing is lost meanwhile, and nothing else is to be done.',
  });
};
