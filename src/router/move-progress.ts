/** How far moves of slots are, from the map in force and what nodes say of their slots. */
import type { ShardMap } from '../shardmap/shard-map.ts';
import { movesOf } from '../shardmap/slot-move.ts';
import type { SlotFetch, SlotStatus } from '../wire/node-status.ts';

/** What a node says of its slots; `error` where it does not answer. */
export type LookedNode = {
  readonly name: string;
  readonly error?: string | undefined;
  readonly slots?: readonly Pick<SlotStatus, 'slot' | 'cursor' | 'bytes' | 'behindMs' | 'log'>[] | undefined;
  readonly fetches?: readonly SlotFetch[] | undefined;
};

/** How far: `ready` waits for its hand-over, `kept` is handed over and can be reversed. */
export const movePhases = ['copying', 'reading', 'paused', 'ready', 'kept'] as const;
export type MovePhase = (typeof movePhases)[number];

/** One copy of a slot on its way. */
export type MoveProgress = {
  readonly slot: number;
  readonly from: string;
  readonly to: string;
  readonly step: 'copying' | 'kept';
  readonly isPaused: boolean;
  readonly phase: MovePhase;
  /** Of the slot at its primary; 0 where that does not answer. */
  readonly slotBytes: number;
  /** Of the copy that arrives; 0 before it is made. */
  readonly bytes: number;
  readonly bytesDone: number;
  /** Entries of the target behind the source; null where it has none yet. */
  readonly entriesBehind: number | null;
  /** True where the copy at the target is as new as its log. */
  readonly isInStep: boolean;
  /** What it waits for, or what keeps it. */
  readonly state: string;
};

/** A copy that is behind by less counts as in step. */
const behindMsMax = 5_000;

/** Returns how far each slot is that moves, by slot. */
export function moveProgress(map: ShardMap, nodes: readonly LookedNode[]): MoveProgress[] {
  const nodeByName = new Map(nodes.map((node) => [node.name, node]));
  const copies = new Map(
    nodes.flatMap(({ name, slots = [] }) => slots.map((copy) => [`${name}/${copy.slot}`, copy] as const)),
  );
  const all = movesOf(map).flatMap(({ slots, primary, move }) =>
    slots.map((slot): MoveProgress => {
      const { from, to, step, isPaused } = move;
      // Once it is handed over, it is the old copy that is kept in step.
      const follower = step === 'kept' ? from : to;
      const node = nodeByName.get(follower);
      const [own, leading] = [copies.get(`${follower}/${slot}`), copies.get(`${primary}/${slot}`)];
      const fetch = node?.fetches?.find((each) => each.slot === slot);
      const isReading = own !== undefined && fetch === undefined && own.log === null;
      const isInStep = isReading && (primary === follower || own.behindMs < behindMsMax);
      const entriesBehind = !isReading || leading === undefined ? null : Math.max(0, leading.cursor - own.cursor);
      const [bytes, bytesDone] = [fetch?.bytes ?? 0, fetch?.bytesDone ?? 0];
      const slotBytes = leading?.bytes ?? 0;
      const [phase, state] = [phaseOf(), stateOf()];
      return { slot, from, to, step, isPaused, phase, slotBytes, bytes, bytesDone, entriesBehind, isInStep, state };

      function phaseOf(): MovePhase {
        if (step === 'kept') return 'kept';
        if (isInStep) return 'ready';
        if (isPaused) return 'paused';
        return isReading ? 'reading' : 'copying';
      }

      function stateOf(): string {
        if (isPaused && !isInStep) return 'paused';
        if (node === undefined || node.error !== undefined)
          return `${follower} does not answer; the move goes on once it runs`;
        if (fetch !== undefined) {
          if (fetch.problem !== '') return fetch.problem;
          const slowed =
            fetch.slowedMs === null ? '' : `, slowly: reads at ${fetch.from} take ${fetch.slowedMs.toPrecision(3)} ms`;
          return `${bytes === 0 ? 'waits for its copy' : 'its copy arrives'}${slowed}`;
        }
        if (own === undefined) return `${follower} has not taken the map yet`;
        if (own.log !== null) return own.log;
        if (!isInStep) return `reads its log, ${Math.round(own.behindMs)} ms behind`;
        return step === 'kept' ? 'handed over, the old copy in step' : 'in step';
      }
    }),
  );
  return all.sort((one, other) => one.slot - other.slot);
}
