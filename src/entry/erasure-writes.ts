/** The private writes that erase one kind of what an actor keeps in private. */
import type { ErasedKind } from '../atproto/private-namespace.ts';
import type { PrivateWrite } from './entry.ts';

/** Returns the writes, which erase what was written before them. */
export function erasureWrites(kind: ErasedKind): readonly PrivateWrite[] {
  if (kind !== 'mutes') return [{ type: 'erase', kind }];
  return [{ type: 'clear-mutes' }, { type: 'clear-list-mutes' }, { type: 'clear-thread-mutes' }];
}
