/** Which private data of an actor waits to be erased: what is written meanwhile must outlive it. */
import { namespaceOfKind, type PrivateKind } from '../../atproto/private-namespace.ts';
import { findLongWork } from '../table/long-work.ts';
import type { SlotState } from '../table/slot-state.ts';

function originOf(state: SlotState, did: string, kind: PrivateKind): number {
  const after = Buffer.alloc(0);
  return findLongWork(state, { type: 'erase', did, kind, originMs: 0, after })?.originMs ?? Number.NEGATIVE_INFINITY;
}

/** Returns up to when the items of a namespace are being erased; -∞ for none. Units: ms. */
export function itemsErasedUpToMs(state: SlotState, did: string, namespace: string): number {
  const kinds = Object.entries(namespaceOfKind).filter(([, of]) => of === namespace) as [PrivateKind, string][];
  return Math.max(
    ...(['private-data', ...kinds.map(([kind]) => kind)] as const).map((kind) => originOf(state, did, kind)),
  );
}
