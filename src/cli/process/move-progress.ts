/** How far moves of slots are, from the map in force and what nodes say of their slots. */

import type { ShardMap } from '../../shardmap/shard-map.ts';
import { movesOf } from '../../shardmap/slot-move.ts';
import { bytesText } from '../text-table.ts';
import type { NodeLook } from './cluster-figures.ts';

/** One copy of a slot on its way. */
export type MoveProgress = {
  readonly slot: number;
  readonly from: string;
  readonly to: string;
  readonly step: 'copying' | 'kept';
  readonly isPaused: boolean;
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
export function moveProgress(map: ShardMap, nodes: readonly NodeLook[]): MoveProgress[] {
  const all = movesOf(map).flatMap(({ slots, primary, move }) =>
    slots.map((slot): MoveProgress => {
      const { from, to, step, isPaused } = move;
      // Once it is handed over, it is the old copy that is kept in step.
      const follower = step === 'kept' ? from : to;
      const node = nodes.find(({ name }) => name === follower);
      const copyAt = (name: string) =>
        nodes.find((each) => each.name === name)?.slots.find((each) => each.slot === slot);
      const [own, leading] = [copyAt(follower), copyAt(primary)];
      const fetch = node?.fetches.find((each) => each.slot === slot);
      const isReading = own !== undefined && fetch === undefined && own.log === null;
      const isInStep = isReading && (primary === follower || own.behindMs < behindMsMax);
      const entriesBehind = !isReading || leading === undefined ? null : Math.max(0, leading.cursor - own.cursor);
      const [bytes, bytesDone] = [fetch?.bytes ?? 0, fetch?.bytesDone ?? 0];
      const state = stateOf();
      return { slot, from, to, step, isPaused, bytes, bytesDone, entriesBehind, isInStep, state };

      function stateOf(): string {
        if (isPaused && !isInStep) return 'paused';
        if (node === undefined || node.error !== undefined) return `${follower} does not answer, or starts again`;
        if (fetch !== undefined) {
          if (fetch.problem !== '') return fetch.problem;
          return bytes === 0 ? 'waits for its copy' : `${bytesText(bytesDone)} of ${bytesText(bytes)} copied`;
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
