/**
 * The private writes that erase a kind of what an actor keeps in private, and the kinds that a
 * write belongs to.
 */
import { type ErasedKind, kindOfNamespace } from '../atproto/private-namespace.ts';
import type { PrivateWrite } from './entry.ts';

/** Returns the writes, which erase what was written before them. */
export function erasureWrites(kind: ErasedKind): readonly PrivateWrite[] {
  if (kind !== 'mutes') return [{ type: 'erase', kind }];
  return [{ type: 'clear-mutes' }, { type: 'clear-list-mutes' }, { type: 'clear-thread-mutes' }];
}

/** Returns the kinds whose erasure covers what a write puts. */
export function erasedKindsOf(write: PrivateWrite): readonly ErasedKind[] {
  switch (write.type) {
    case 'private-data': {
      const kind = kindOfNamespace(write.namespace);
      return kind === undefined ? ['private-data'] : ['private-data', kind];
    }
    case 'mute':
    case 'unmute':
    case 'clear-mutes':
    case 'list-mute':
    case 'list-unmute':
    case 'clear-list-mutes':
    case 'thread-mute':
    case 'thread-unmute':
      return ['mutes'];
    default:
      return [];
  }
}
