/** Plain sentences about what is off, each with the command to run. Pure. */
import { bytes, distributionOf, duration, type Frame, rateOf, threeDigits } from './figures.ts';

/** In the order in which the server sends a slot's columns. */
export type SlotRow = readonly [
  slot: number,
  role: string,
  health: string,
  lagMs: number | null,
  behindMs: number,
  waiting: number,
  outbox: number,
  bytes: number,
  quarantined: number,
];
export type NodeState = {
  readonly name: string;
  readonly state: string;
  readonly error: string;
  readonly slotMapBytes: number | null;
  readonly slots: readonly SlotRow[];
};

export type Advice = { readonly isBad: boolean; readonly text: string; readonly command: string };

export type AdviceInput = {
  readonly nodes: readonly NodeState[];
  /** Of the last minute, and of the hour before it, by process. */
  readonly recent: ReadonlyMap<string, readonly Frame[]>;
  readonly earlier: ReadonlyMap<string, readonly Frame[]>;
};

/** A slot is hot when it has so many times the mean of all, and reads come at all. */
const hotTimes = 5;
const hotReadsMin = 500;
const behindMsMax = 5_000;
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
export function readsBySlot(frames: Iterable<readonly Frame[]>): Map<number, number> {
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

function methodsOf(frames: readonly Frame[], kind: string): Set<string> {
  const keys = frames.flatMap(({ series }) => Object.keys(series)).filter((key) => key.startsWith(`${kind}|`));
  return new Set(keys.map((key) => key.split('|')[1]!));
}

function ofRequests({ recent }: AdviceInput): Advice[] {
  return [...recent].flatMap(([process, frames]) => {
    const batches = [...methodsOf(frames, 'items')].flatMap((method): Advice[] => {
      const items = distributionOf(frames, `items|${method}`);
      if (items.count === 0 || items.at(99) < itemsMax) return [];
      const text = `Requests of ${method} at ${process} ask for ${threeDigits(items.at(99))} items (1 in 100 for more).`;
      return [{ isBad: false, text, command: 'skyshard hist show --series request_items' }];
    });
    const refused = rateOf(frames, 'request', (key) => key.endsWith('|refused'));
    if (refused === 0) return batches;
    const text = `${process} refuses ${threeDigits(refused)} requests/s, since a limit is reached.`;
    return [...batches, { isBad: true, text, command: 'skyshard top --once' }];
  });
}

/** Steps whose time should not grow, by what they are called. */
const steps = { commit: 'A commit with its flush', apply: 'An event until it is visible' } as const;

function ofSteps({ recent, earlier }: AdviceInput): Advice[] {
  return [...recent].flatMap(([process, frames]) =>
    Object.entries(steps).flatMap(([kind, name]): Advice[] => {
      const now = distributionOf(frames, kind);
      const then = distributionOf(earlier.get(process) ?? [], kind);
      if (now.count < samplesMin || then.count < samplesMin || then.mean === 0) return [];
      const times = now.mean / then.mean;
      if (times < slowerTimes) return [];
      const text = `${name} takes ${threeDigits(times)} times as long on ${process} as before (${duration(now.mean)}, was ${duration(then.mean)}).`;
      return [{ isBad: false, text, command: `skyshard hist show --series ${process}/${kind}` }];
    }),
  );
}

/** Returns what is off now, the worst first. */
export function adviceOf(input: AdviceInput): Advice[] {
  const all = [...ofSlots(input.nodes), ...ofLoad(input), ...ofRequests(input), ...ofSteps(input)];
  return all.sort((a, b) => Number(b.isBad) - Number(a.isBad));
}
