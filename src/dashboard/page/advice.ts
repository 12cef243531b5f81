/** Plain sentences about what is off, each with the command to run. Pure. */
import type { LiveFrame } from '../../metrics/live-frame.ts';
import type { MoveGroup } from '../cluster-rows.ts';
import type { IngestAnswer } from '../ingest-state.ts';
import type { NodeState } from './cluster-state.ts';
import { bytes, distributionOf, duration, kindRateOf, threeDigits, totalOf } from './figures.ts';

export type Advice = { readonly isBad: boolean; readonly text: string; readonly command: string };

export type AdviceInput = {
  readonly nodes: readonly NodeState[];
  readonly moves: readonly MoveGroup[];
  readonly ingest: IngestAnswer;
  /** Of the last minute, and of the hour before it, by process. */
  readonly recent: ReadonlyMap<string, readonly LiveFrame[]>;
  readonly earlier: ReadonlyMap<string, readonly LiveFrame[]>;
};

/** A slot is hot when it has so many times the mean of all, and reads come at all. */
const hotTimes = 5;
const hotReadsMin = 500;
const behindMsMax = 5_000;
/** More than so many items are a huge batch. */
const itemsMax = 1_000;
const slowerTimes = 2;
const samplesMin = 50;
const fullShare = 0.8;

function ofSlots(nodes: readonly NodeState[]): Advice[] {
  return nodes.flatMap(({ name, state, error, slotMapBytes, slots }) => {
    if (state !== 'up') {
      return [{ isBad: true, text: `Node ${name} does not answer: ${error}`, command: 'skyshard status' }];
    }
    return slots.flatMap(([slot, role, health, , behindMs, , , used, quarantined]): Advice[] => {
      const found: Advice[] = [];
      if (health === 'incomplete') {
        found.push({
          isBad: true,
          text: `Slot ${slot} on ${name} has lost what it held.`,
          command: `skyshard repair slot ${slot}`,
        });
      } else if (health === 'stopped' || health === 'full') {
        const command = health === 'stopped' ? `skyshard quarantine list` : 'skyshard status';
        found.push({ isBad: true, text: `Slot ${slot} on ${name} applies nothing: it is ${health}.`, command });
      }
      if (quarantined > 0) {
        found.push({
          isBad: false,
          text: `Slot ${slot} on ${name} keeps ${quarantined} entries that could not be applied.`,
          command: 'skyshard quarantine list',
        });
      }
      if (role === 'replica' && behindMs > behindMsMax) {
        found.push({
          isBad: false,
          text: `The replica of slot ${slot} on ${name} is ${duration(behindMs * 1000)} behind its log.`,
          command: `skyshard replica verify ${slot}`,
        });
      }
      if (slotMapBytes !== null && used > fullShare * slotMapBytes) {
        const percent = Math.round((100 * used) / slotMapBytes);
        found.push({
          isBad: percent >= 95,
          text: `The map of slot ${slot} on ${name} is ${percent} % full (${bytes(used)} of ${bytes(slotMapBytes)}).`,
          command: `skyshard slot compact ${slot}`,
        });
      }
      return found;
    });
  });
}

/** Returns how often each slot was looked into. */
export function readsBySlot(frames: Iterable<readonly LiveFrame[]>): Map<number, number> {
  const reads = new Map<number, number>();
  for (const of of frames) {
    for (const { slotReads } of of) {
      for (let at = 0; at < slotReads.length; at += 2) {
        reads.set(slotReads[at]!, (reads.get(slotReads[at]!) ?? 0) + slotReads[at + 1]!);
      }
    }
  }
  return reads;
}

function ofLoad({ nodes, recent }: AdviceInput): Advice[] {
  const reads = readsBySlot(recent.values());
  const total = [...reads.values()].reduce((sum, count) => sum + count, 0);
  const slots = new Set(nodes.flatMap((node) => node.slots.map(([slot]) => slot))).size;
  if (slots < 2 || total < hotReadsMin) return [];
  return [...reads].flatMap(([slot, count]) => {
    const times = (count * slots) / total;
    if (times < hotTimes) return [];
    const text = `Slot ${slot} carries ${threeDigits(times)} times the mean load of all ${slots} slots.`;
    return [{ isBad: false, text, command: 'skyshard map show --json' }];
  });
}

/** Returns of whom one in a hundred requests is huge, and how large these are at least. */
function hugeOf(frames: readonly LiveFrame[], kind: string): { readonly name: string; readonly items: number }[] {
  const keys = frames.flatMap(({ series }) => Object.keys(series)).filter((key) => key.startsWith(`${kind}|`));
  return [...new Set(keys)].flatMap((key) => {
    const items = distributionOf(frames, key).at(99);
    return items < itemsMax ? [] : [{ name: key.split('|')[1]!, items }];
  });
}

function ofBatches(process: string, frames: readonly LiveFrame[]): Advice[] {
  const methods = hugeOf(frames, 'items');
  const callers = hugeOf(frames, 'caller-items');
  const command = `skyshard hist show --series ${callers.length > 0 ? 'caller_request_items' : 'request_items'}`;
  const which = methods.map(({ name }) => name).join(', ');
  if (callers.length > 0) {
    const most = which === '' ? '' : `, by ${which}`;
    return callers.map(({ name, items }) => {
      const who = name === 'other' ? 'A caller that is not among the busiest' : `Caller ${name}`;
      const text = `${who} sends huge batches to ${process}: 1 in 100 asks for ${threeDigits(items)} items or more${most}.`;
      return { isBad: false, text, command };
    });
  }
  return methods.map(({ name, items }) => {
    const text = `Requests of ${name} at ${process} are huge: 1 in 100 asks for ${threeDigits(items)} items or more.`;
    return { isBad: false, text, command };
  });
}

function ofRequests({ recent }: AdviceInput): Advice[] {
  return [...recent].flatMap(([process, frames]) => {
    const batches = ofBatches(process, frames);
    const refused = kindRateOf(frames, 'request', (key) => key.endsWith('|refused'));
    if (refused === 0) return batches;
    const text = `${process} refuses ${threeDigits(refused)} requests/s, since a limit is reached.`;
    return [...batches, { isBad: true, text, command: 'skyshard top --once' }];
  });
}

function ofMoves({ moves }: AdviceInput): Advice[] {
  return moves.flatMap(({ from, to, countByPhase }): Advice[] => {
    const { ready = 0, kept = 0, paused = 0, copying = 0, reading = 0 } = countByPhase;
    const what = `from ${from} to ${to}`;
    const found: Advice[] = [];
    if (kept > 0) {
      const text = `${kept} slots ${what} are handed over, and ${from} still keeps its copies.`;
      found.push({ isBad: false, text, command: 'skyshard move drop' });
    }
    if (paused > 0) {
      found.push({
        isBad: false,
        text: `Moves of ${paused} slots ${what} are paused.`,
        command: 'skyshard move resume',
      });
    }
    if (ready > 0 && paused + copying + reading === 0) {
      found.push({
        isBad: false,
        text: `${ready} slots ${what} are in step, and not handed over.`,
        command: 'skyshard move',
      });
    }
    return found;
  });
}

function ofIngest({ ingest }: AdviceInput): Advice[] {
  if (ingest === null) return [];
  const command = 'skyshard source list';
  if ('error' in ingest)
    return [{ isBad: true, text: `Ingest does not answer: ${ingest.error}`, command: 'skyshard status' }];
  return [...ingest.sources, ...ingest.labelers].flatMap(
    ({ name, connected, pausedMs, problem, lastProblem }): Advice[] => {
      if (problem !== null) return [{ isBad: true, text: `${problem.message}. ${problem.hint}`, command }];
      if (pausedMs !== null)
        return [{ isBad: false, text: `Source ${name} is paused.`, command: `skyshard source resume ${name}` }];
      if (connected) return [];
      const why = lastProblem === null ? '' : `: ${lastProblem}`;
      return [{ isBad: true, text: `Source ${name} is not connected${why}.`, command }];
    },
  );
}

/** Steps whose time should not grow, by what they are called. */
const steps = { commit: 'A commit with its flush', apply: 'An event until it is visible' } as const;

function ofSteps({ recent, earlier }: AdviceInput): Advice[] {
  return [...recent].flatMap(([process, frames]) =>
    Object.entries(steps).flatMap(([kind, name]): Advice[] => {
      const [now, then] = [totalOf(frames, kind), totalOf(earlier.get(process) ?? [], kind)];
      if (now.count < samplesMin || then.count < samplesMin || then.sum === 0) return [];
      const [mean, before] = [now.sum / now.count, then.sum / then.count];
      const times = mean / before;
      if (times < slowerTimes) return [];
      const text = `${name} takes ${threeDigits(times)} times as long on ${process} as before (${duration(mean)}, was ${duration(before)}).`;
      return [{ isBad: false, text, command: `skyshard hist show --series ${process}/${kind}` }];
    }),
  );
}

/** Returns what is off now, the worst first. */
export function adviceOf(input: AdviceInput): Advice[] {
  const parts = [ofIngest, ofMoves, ofLoad, ofRequests, ofSteps];
  const all = [...ofSlots(input.nodes), ...parts.flatMap((part) => part(input))];
  return all.sort((a, b) => Number(b.isBad) - Number(a.isBad));
}
