/** `skyshard replica add | remove`: a node becomes a replica of shards, or is one no more. */
import { DataPlaneError, operatingFailure } from '../../base/data-plane-error.ts';
import type { PushReport } from '../../mapchange/map-push.ts';
import type { MapJson } from '../../shardmap/map-follower.ts';
import { withoutReplica, withReplica } from '../../shardmap/replica-change.ts';
import { parseShardMap, rangesText, replicaSlotsOf, type ShardMap } from '../../shardmap/shard-map.ts';
import type { Command, CommandContext } from '../command.ts';
import { exitCode } from '../exit-code.ts';
import { askRouter } from '../process/ask-process.ts';
import { pushMap } from '../process/push-map.ts';
import { replicaStatus } from '../process/replica-status.ts';
import { bytesText } from '../text-table.ts';

/** How far a node is with the slots that it is to be a replica of. */
type Progress = {
  readonly slots: number;
  /** Those that are as new as their logs. */
  readonly slotsDone: number;
  /** Of the copies that arrive. */
  readonly bytes: number;
  readonly bytesDone: number;
  /** What it waits for; '' for nothing. */
  readonly problem: string;
};

const lookMs = 1_000;
/** A replica that is behind by less counts as there: routers ask it. */
const behindMsMax = 5_000;

async function progressOf(context: CommandContext, node: string, wanted: readonly number[]): Promise<Progress> {
  const status = await replicaStatus(context, node);
  const slots = status?.slots ?? [];
  const done = slots.filter(
    ({ slot, role, behindMs, log }) =>
      wanted.includes(slot) && role === 'replica' && log === null && behindMs < behindMsMax,
  );
  const fetches = status?.fetches ?? [];
  const sum = (field: 'bytes' | 'bytesDone'): number => fetches.reduce((total, fetch) => total + fetch[field], 0);
  const problem = awayText(status?.error) ?? fetches.find((fetch) => fetch.problem !== '')?.problem ?? '';
  return { slots: wanted.length, slotsDone: done.length, bytes: sum('bytes'), bytesDone: sum('bytesDone'), problem };
}

function awayText(error: string | undefined): string | undefined {
  return error === undefined ? undefined : `the node does not answer (${error})`;
}

function progressText({ slots, slotsDone, bytes, bytesDone, problem }: Progress): string {
  const copies = bytes === 0 ? '' : `, ${bytesText(bytesDone)} of ${bytesText(bytes)} copied`;
  return `${slotsDone} of ${slots} slots${copies}${problem === '' ? '' : `: ${problem}`}\n`;
}

/** Shows how far the node is until all of its slots are there. */
async function untilThere(context: CommandContext, node: string, wanted: readonly number[]): Promise<void> {
  const { clock, print, settings } = context;
  for (let last = ''; ; ) {
    const progress = await progressOf(context, node, wanted).catch((thrown: unknown): Progress => {
      // The router may be one that starts again with the node.
      const problem = `asking again: ${operatingFailure(thrown).message}`;
      return { slots: wanted.length, slotsDone: 0, bytes: 0, bytesDone: 0, problem };
    });
    const text = settings.json ? `${JSON.stringify(progress)}\n` : progressText(progress);
    if (text !== last) print(text);
    last = text;
    if (progress.slotsDone === progress.slots) return;
    await clock.sleep(lookMs);
  }
}

type Change = typeof withReplica;

/** `shards` are those that the change is about. */
type Changed = { readonly map: ShardMap; readonly shards: readonly string[]; readonly report: PushReport };

async function changeReplicas(context: CommandContext, change: Change): Promise<Changed> {
  const { settings, operands } = context;
  const { map } = (await askRouter(context, '/v1/map')) as { readonly map: MapJson };
  const before = parseShardMap(map);
  const next = change(map, before, { node: operands[0]!, shards: settings.shard });
  const words = [
    change === withReplica ? 'replica add' : 'replica remove',
    operands[0]!,
    ...settings.shard.map((name) => `--shard ${name}`),
  ];
  const report = await pushMap(context, next, words.join(' '));
  const after = parseShardMap(next);
  const shards = after.shards.filter(
    ({ replicas }, index) => replicas.length !== before.shards[index]!.replicas.length,
  );
  return { map: after, shards: shards.map(({ name }) => name), report };
}

/** A node that is away would be waited for, and what it is given would be retained for it. */
async function requireRunning(context: CommandContext, node: string): Promise<void> {
  const status = await replicaStatus(context, node);
  if (status?.error === undefined) return;
  throw new DataPlaneError('Unavailable', `node ${node} does not answer, and becomes no replica: ${status.error}`, {
    hint: 'Start the node, then run this again. Nothing is changed.',
  });
}

/** Waits until the node has copies of its slots, and has read their logs. */
export const runReplicaAdd: Command = async (context) => {
  const { settings, print, operands } = context;
  const node = operands[0]!;
  await requireRunning(context, node);
  const { map, shards, report } = await changeReplicas(context, withReplica);
  const wanted = replicaSlotsOf(map, node);
  const { epoch, isDryRun } = report;
  const what = `${node} ${isDryRun ? 'would be' : 'is'} a replica of slots ${rangesText(wanted)} in all`;
  if (settings.json) print(`${JSON.stringify({ epoch, isDryRun, node, slots: wanted })}\n`);
  else {
    print(`epoch ${epoch}: ${what}\n`);
    const undo = `skyshard replica remove ${[node, ...shards.map((name) => `--shard ${name}`)].join(' ')}`;
    if (!isDryRun) print(`waits until it has them; Ctrl-C ends only the wait, and \`${undo}\` undoes it\n`);
  }
  if (!isDryRun) await untilThere(context, node, wanted);
  return exitCode.done;
};

/** The node closes the slots. Their folders stay. */
export const runReplicaRemove: Command = async (context) => {
  const { settings, print, operands } = context;
  const node = operands[0]!;
  const { map, report } = await changeReplicas(context, withoutReplica);
  const left = replicaSlotsOf(map, node);
  const { epoch, isDryRun } = report;
  if (settings.json) print(`${JSON.stringify({ epoch, isDryRun, node, slots: left })}\n`);
  else
    print(
      `epoch ${epoch}: ${node} ${isDryRun ? 'would be' : 'is'} a replica of ${left.length === 0 ? 'no slots' : `slots ${rangesText(left)}`}\n`,
    );
  return exitCode.done;
};
