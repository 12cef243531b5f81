/** `skyshard replica verify | rebuild`: compares copies of slots, and renews one that differs. */
import { lookAgainMs } from '../../base/backoff.ts';
import { DataPlaneError, operatingFailure } from '../../base/data-plane-error.ts';
import type { MapJson } from '../../shardmap/map-follower.ts';
import { parseShardMap, type ShardMap } from '../../shardmap/shard-map.ts';
import { type CopyVerdict, copyVerdict } from '../../wire/copy-verdict.ts';
import { differenceLines, type RowComparison } from '../../wire/row-comparison.ts';
import type { VerifiedCopy } from '../../wire/slot-verify.ts';
import type { Command, CommandContext } from '../command.ts';
import { exitCode } from '../exit-code.ts';
import { askRouter } from '../process/ask-process.ts';
import { replicaStatus } from '../process/replica-status.ts';
import { bytesText } from '../text-table.ts';

type Answer = { readonly slot: number; readonly copies: readonly VerifiedCopy[] };

const lookMs = 500;
/** A slot of the largest size takes minutes; a node that is stuck must not hold the command up. */
const stuckMsMax = 300_000;

function slotOf(text: string): number {
  if (/^\d{1,5}$/.test(text)) return Number(text);
  throw new DataPlaneError('InvalidArgument', `"${text.slice(0, 20)}" is not a slot`, {
    hint: '`skyshard status` lists the slots.',
  });
}

async function mapInForce(context: CommandContext): Promise<ShardMap> {
  const { map } = (await askRouter(context, '/v1/map')) as { readonly map: MapJson };
  return parseShardMap(map);
}

/** Returns the slots that have more than one copy, or the one that is asked for. */
function slotsToVerify(map: ShardMap, operand: string | undefined): number[] {
  const replicated = map.shards.filter(({ replicas }) => replicas.length > 0).flatMap(({ slots }) => slots);
  if (operand === undefined) {
    if (replicated.length > 0) return replicated.sort((one, other) => one - other);
    throw new DataPlaneError('ConfigInvalid', 'no shard of the map has a replica to compare with', {
      hint: '`skyshard replica add <node>` makes one.',
    });
  }
  const slot = slotOf(operand);
  if (replicated.includes(slot)) return [slot];
  if (slot >= map.slots)
    throw new DataPlaneError('InvalidArgument', `the map has no slot ${slot}`, {
      hint: '`skyshard status` lists the slots.',
    });
  throw new DataPlaneError('ConfigInvalid', `slot ${slot} has one copy, and none to compare it with`, {
    hint: '`skyshard replica add <node>` makes another.',
  });
}

type VerifiedSlot = {
  readonly copies: readonly VerifiedCopy[];
  readonly verdict: CopyVerdict;
  /** Null where no rows were compared one by one. */
  readonly rows: RowComparison | null;
};

function ask(context: CommandContext, slot: number, action: 'begin' | 'look' | 'rows' | 'end'): Promise<unknown> {
  return askRouter(context, '/v1/replica/verify', { slot, action });
}

/**
 * Has all copies read through, shows how far that is, and returns what they are. Of copies that
 * differ, and with `isSampled` of others, rows are compared one by one.
 */
export async function verifySlot(context: CommandContext, slot: number, isSampled = false): Promise<VerifiedSlot> {
  try {
    const copies = await readThrough(context, slot);
    const verdict = copyVerdict(slot, copies);
    const compared = copies.filter(({ digest }) => digest !== null);
    const areEqual = new Set(compared.map(({ digest }) => digest)).size < 2;
    const rows = compared.length < 2 || (areEqual && !isSampled) ? null : await compareRows(context, slot);
    return { copies, verdict, rows };
  } finally {
    await ask(context, slot, 'end');
  }
}

/** Compares rows of copies that are read through. Errors: those of the router. */
async function compareRows(context: CommandContext, slot: number): Promise<RowComparison> {
  const { clock } = context;
  const startMs = clock.monotonicMs();
  for (let tookMs = 0; tookMs < stuckMsMax; tookMs = clock.monotonicMs() - startMs) {
    const { rows } = (await ask(context, slot, 'rows')) as { readonly rows: RowComparison | null };
    if (rows !== null) return rows;
    await clock.sleep(lookAgainMs(tookMs));
  }
  throw new DataPlaneError('DeadlineExceeded', `rows of slot ${slot} are not compared in ${stuckMsMax} ms`);
}

async function readThrough(context: CommandContext, slot: number): Promise<readonly VerifiedCopy[]> {
  const { clock, print, settings } = context;
  const begun = (await ask(context, slot, 'begin')) as Answer;
  let copies = begun.copies;
  const rowsDone = (): number => copies.reduce((sum, copy) => sum + copy.rowsDone, 0);
  const startMs = clock.monotonicMs();
  let [changedMs, shownMs] = [startMs, startMs];
  while (copies.some(({ digest, problem, damage }) => digest === null && problem === '' && damage === '')) {
    await clock.sleep(lookAgainMs(clock.monotonicMs() - startMs));
    const before = rowsDone();
    const looked = (await ask(context, slot, 'look')) as Answer;
    // Those that could not be compared have said why.
    copies = begun.copies.map((copy) =>
      copy.problem === '' ? looked.copies.find(({ node }) => node === copy.node)! : copy,
    );
    const nowMs = clock.monotonicMs();
    if (rowsDone() !== before) {
      changedMs = nowMs;
      const rows = copies.reduce((sum, copy) => sum + copy.rows, 0);
      if (!settings.json && rows > rowsDone() && nowMs - shownMs >= lookMs) {
        shownMs = nowMs;
        print(`slot ${slot}: ${Math.floor((100 * rowsDone()) / rows)}% read\n`);
      }
    }
    if (nowMs - changedMs > stuckMsMax)
      throw new DataPlaneError('DeadlineExceeded', `slot ${slot} is not read through in ${stuckMsMax} ms`);
  }
  return copies;
}

function verdictText(slot: number, { copies, verdict, rows }: VerifiedSlot): string {
  const { result, nodes, odd, todo } = verdict;
  const seq = Math.max(...copies.map((copy) => copy.seq));
  const from = nodes.length > 0 ? ` from ${nodes.join(', ')}` : '';
  const said = {
    equal: `${nodes.join(', ')} are equal at seq ${seq}`,
    different: `${odd.join(', ')} differ${nodes.length > 0 && odd.length === 1 ? 's' : ''}${from} at seq ${seq}`,
    unknown: 'not compared',
  }[result];
  const problems = copies
    .map(({ node, problem, damage }) => ({ node, text: damage === '' ? problem : `cannot be read: ${damage}` }))
    .filter(({ text }) => text !== '');
  const differing = rows === null ? [] : differenceLines(rows);
  const lines = [...problems.map(({ node, text }) => `${node}: ${text}`), ...differing, ...todo];
  return `slot ${slot}: ${said}\n${lines.map((line) => `  ${line}\n`).join('')}`;
}

/** One slot after the other, so that a node reads one at a time. */
export const runReplicaVerify: Command = async (context) => {
  const { settings, print, operands } = context;
  const slots = slotsToVerify(await mapInForce(context), operands[0]);
  const counts = { equal: 0, different: 0, unknown: 0 };
  let leftOut = 0;
  for (const slot of slots) {
    const verified = await verifySlot(context, slot);
    const { copies, verdict, rows } = verified;
    counts[verdict.result]++;
    leftOut += copies.filter(({ problem }) => problem !== '').length;
    print(settings.json ? `${JSON.stringify({ slot, ...verdict, copies, rows })}\n` : verdictText(slot, verified));
  }
  if (!settings.json && slots.length > 1)
    print(
      `equal: ${counts.equal} slots; different: ${counts.different}; not compared: ${counts.unknown}; copies left out: ${leftOut}\n`,
    );
  return counts.equal === slots.length && leftOut === 0 ? exitCode.done : exitCode.failed;
};

/** Waits until the node goes on with the copy. */
export const runReplicaRebuild: Command = async (context) => {
  const { settings, print, operands, clock } = context;
  const [node, slot] = [operands[0]!, slotOf(operands[1]!)];
  const before = await replicaStatus(context, node);
  const body = { slot, node, isDryRun: settings.dryRun };
  const asked = (await askRouter(context, '/v1/replica/rebuild', body)) as { readonly sources: readonly string[] };
  const what = `slot ${slot} of ${node} ${settings.dryRun ? 'would begin' : 'begins'} again from a copy of ${asked.sources.join(' or ')}`;
  print(settings.json ? `${JSON.stringify({ ...body, sources: asked.sources })}\n` : `${what}\n`);
  for (let last = ''; !settings.dryRun; ) {
    await clock.sleep(lookMs);
    const status = await replicaStatus(context, node).catch((thrown: unknown) => void operatingFailure(thrown));
    if (status?.pid === undefined) continue;
    if (status.pid !== before?.pid)
      throw new DataPlaneError('Aborted', `${node} has started again meanwhile, perhaps without the copy`, {
        hint: `\`skyshard replica verify ${slot}\` says whether it is right; else run this again.`,
      });
    const fetch = status.fetches.find((each) => each.slot === slot);
    if (fetch === undefined) break;
    const { bytes, bytesDone, problem } = fetch;
    const copied =
      bytes === 0 ? 'waits for a copy to be made' : `${bytesText(bytesDone)} of ${bytesText(bytes)} copied`;
    const text = problem === '' ? copied : problem;
    const line = settings.json ? JSON.stringify(fetch) : text;
    if (line !== last) print(`${line}\n`);
    last = line;
  }
  if (!settings.dryRun && !settings.json)
    print(`${node} goes on with it; \`skyshard replica verify ${slot}\` compares them\n`);
  return exitCode.done;
};
