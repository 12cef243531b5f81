/** Groups texts by the node of their owner, for calls that answer each text. */
import { DataPlaneError } from '../../base/data-plane-error.ts';
import type { FanOut } from './fan-out.ts';
import { slotOfDidText } from './slot-finder.ts';

/** The texts that go to one node, and their indexes in the list. */
export type OwnerGroup = { readonly node: number; readonly texts: string[]; readonly indexes: number[] };

/** Groups texts by the node of their owner; a text without a valid owner is in no group. */
export function groupByOwner(
  texts: readonly string[],
  ownerOf: (text: string) => string | undefined,
  fanOut: FanOut,
): OwnerGroup[] {
  const groups: OwnerGroup[] = [];
  const groupByNode: (OwnerGroup | undefined)[] = [];
  for (let index = 0; index < texts.length; index++) {
    const owner = ownerOf(texts[index]!);
    const slot = owner === undefined ? -1 : slotOfDidText(owner, fanOut.map.slots);
    if (slot < 0) continue;
    const node = fanOut.nodeBySlot[slot]!;
    let group = groupByNode[node];
    if (group === undefined) {
      group = { node, texts: [], indexes: [] };
      groupByNode[node] = group;
      groups.push(group);
    }
    group.texts.push(texts[index]!);
    group.indexes.push(index);
  }
  return groups;
}

/** Returns the groups' answers in the order of the texts; `missing` for a text in no group. */
export function ungroup<Answer>(
  count: number,
  groups: readonly OwnerGroup[],
  answers: readonly (readonly Answer[])[],
  missing: Answer,
  path: string,
): Answer[] {
  const result = new Array<Answer>(count).fill(missing);
  for (let index = 0; index < groups.length; index++) {
    const { indexes } = groups[index]!;
    const answer = answers[index]!;
    if (answer.length !== indexes.length) {
      throw new DataPlaneError(
        'Internal',
        `${path}: answer ${index} holds ${answer.length} values for ${indexes.length} keys`,
      );
    }
    for (let at = 0; at < indexes.length; at++) result[indexes[at]!] = answer[at]!;
  }
  return result;
}
