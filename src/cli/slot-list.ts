/** Slots as commands are given them: `--slots 0-3,7`. */
import { DataPlaneError } from '../base/data-plane-error.ts';

/**
 * Returns the slots of a list of ranges, ascending, each once.
 *
 * Errors: DataPlaneError `ConfigInvalid` naming the part that is no range of slots of the cluster.
 */
export function slotsOfList(ranges: readonly string[], slots: number): number[] {
  const all = ranges.flatMap((range) => {
    const [, first, last = first] = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(range) ?? [];
    if (first === undefined || Number(first) > Number(last) || Number(last) >= slots)
      throw new DataPlaneError('ConfigInvalid', `--slots: "${range.slice(0, 20)}" names no slots`, {
        hint: `Give slots from 0 to ${slots - 1}, such as --slots 0-3,7; \`skyshard status\` lists them.`,
      });
    return Array.from({ length: Number(last) - Number(first) + 1 }, (_unused, index) => Number(first) + index);
  });
  return [...new Set(all)].sort((one, other) => one - other);
}
