/**
 * Decides what of another data plane's database is applied: what this slot neither has nor has seen
 * removed, since whatever came to it by itself is newer.
 *
 * Owns: how each thing that a write puts or removes is named, for the notes of what was removed
 * while an import runs. A write that both sides name alike is one that an import must not undo.
 */
import { recordUri } from '../../atproto/compact-key.ts';
import { type LabelId, labelUri } from '../../atproto/label.ts';
import type { IfAbsentEntry, PrivateEntry, PrivateWrite } from '../../entry/entry.ts';
import { erasedKindsOf } from '../../entry/erasure-writes.ts';
import { type SuggestionList, suggestionsKey } from '../../entry/suggestion.ts';
import { type ActorRow, getActor, getBlobTakedown } from '../table/actor-row.ts';
import { getAgeAssurance } from '../table/age-assurance.ts';
import { accountDeletedMs, isImporting, noteRemoved, removedPrefix, wasRemoved } from '../table/import-note.ts';
import type { LongWorkOf } from '../table/long-work.ts';
import { findMute, hasListMute } from '../table/mute.ts';
import { getPrivateRow } from '../table/private-data.ts';
import type { SlotState } from '../table/slot-state.ts';
import { suggestionOrder } from '../table/suggestion.ts';
import { hasThreadMute } from '../table/thread-mute.ts';
import { type ApplyContext, workCostUs } from './apply-context.ts';
import { rowsAfter } from './rows-after.ts';

/** Suggestions belong to the slot. */
const slotWide = 0;

const privateItemName = (namespace: string, key: string): string => `private-data ${namespace} ${key}`;
const labelName = ({ src, val, cid, subject }: LabelId): string => `label ${src} ${cid} ${labelUri(subject)} ${val}`;
const suggestionName = (list: SuggestionList, tag: string, subject: string): string =>
  `suggestion ${list} ${subject} ${tag}`;

/** Names one record, and what is said about it. */
export const recordName = {
  content: (collection: string, rkey: string): string => `record ${collection}/${rkey}`,
  takedown: (collection: string, rkey: string): string => `record-takedown ${collection}/${rkey}`,
  tags: (collection: string, rkey: string): string => `record-tags ${collection}/${rkey}`,
} as const;

/**
 * Returns the names of what an import must leave alone after a write: what it removes, alone or all
 * of a kind, and what it sets by hand.
 */
function removedBy(write: PrivateWrite): string[] {
  switch (write.type) {
    case 'actor-takedown':
      return write.ref === null ? [write.type] : [];
    case 'blob-takedown':
      return write.ref === null ? [`blob-takedown ${write.cid}`] : [];
    case 'record-takedown':
      return write.ref === null ? [recordName.takedown(write.collection, write.rkey)] : [];
    case 'record-tags':
      return [recordName.tags(write.collection, write.rkey)];
    case 'record-put':
    case 'record-delete':
      return [recordName.content(write.collection, write.rkey)];
    case 'upstream-status':
      return write.status === '' ? [write.type] : [];
    case 'age-assurance':
      return write.change === null ? [write.type] : [];
    case 'trusted-verifier':
      return write.isTrusted ? [] : [write.type];
    case 'notification-priority':
      return write.isPriority ? [] : [write.type];
    case 'unmute':
      return [`mute ${write.subject}`];
    case 'list-unmute':
      return [`list-mute ${recordUri(write.list)}`];
    case 'thread-unmute':
      return [`thread-mute ${recordUri(write.root)}`];
    case 'clear-mutes':
      return ['mutes'];
    case 'clear-list-mutes':
      return ['list-mutes'];
    case 'clear-thread-mutes':
      return ['thread-mutes'];
    case 'private-data':
      return write.method === 'delete' ? [privateItemName(write.namespace, write.key)] : [];
    case 'erase':
      return [`erase ${write.kind}`];
    default:
      return [];
  }
}

/** Returns under which names what a write puts may have been removed. */
function namesOf(write: PrivateWrite): string[] {
  switch (write.type) {
    case 'blob-takedown':
      return [`blob-takedown ${write.cid}`];
    case 'mute':
      return [`mute ${write.subject}`, 'mutes'];
    case 'list-mute':
      return [`list-mute ${recordUri(write.list)}`, 'list-mutes'];
    case 'thread-mute':
      return [`thread-mute ${recordUri(write.root)}`, 'thread-mutes'];
    case 'private-data':
      return [privateItemName(write.namespace, write.key), ...erasedKindsOf(write).map((kind) => `erase ${kind}`)];
    default:
      return [write.type];
  }
}

/** Notes what a write removes, where an import may still bring it. */
export function noteRemovals({ state }: ApplyContext, did: string, write: PrivateWrite): void {
  if (!isImporting(state)) return;
  if (write.type === 'suggestions') {
    for (const { order, tag, subject } of write.changes)
      if (order === 'gone') noteRemoved(state, slotWide, suggestionName(write.list, tag, subject));
    return;
  }
  const removed = removedBy(write);
  if (removed.length === 0) return;
  const owner = state.ensureOwner(did);
  for (const what of removed) noteRemoved(state, owner, what);
}

/** Notes that a label was removed as if it had never been. */
export function noteLabelRemoval({ state }: ApplyContext, did: string, id: LabelId): void {
  if (isImporting(state)) noteRemoved(state, state.ensureOwner(did), labelName(id));
}

/** An account event of its own has decided the status, whatever it is now. */
function hasStatus(actor: ActorRow | undefined): boolean {
  return actor !== undefined && (actor.upstreamStatus !== '' || actor.accountMs !== 0);
}

/** True when what a write would put is there in some form. */
function isPresent(state: SlotState, owner: number, write: PrivateWrite): boolean {
  switch (write.type) {
    case 'actor-takedown':
      return (getActor(state, owner)?.takedownRef ?? null) !== null;
    case 'blob-takedown':
      return getBlobTakedown(state, owner, write.cid) !== undefined;
    case 'upstream-status':
      return hasStatus(getActor(state, owner));
    case 'age-assurance':
      return getAgeAssurance(state, owner) !== undefined;
    case 'mute':
      return findMute(state, owner, write.subject) !== undefined;
    case 'list-mute':
      return hasListMute(state, owner, write.list);
    case 'thread-mute':
      return hasThreadMute(state, owner, write.root);
    case 'private-data':
      return getPrivateRow(state, owner, write) !== undefined;
    default:
      // The seen time only moves forward; a mark that is set again is set.
      return false;
  }
}

function wantedPrivate(state: SlotState, entry: PrivateEntry): PrivateEntry | undefined {
  const { did, write } = entry;
  if (did === suggestionsKey && write.type === 'suggestions') {
    const changes = write.changes.filter(
      ({ tag, subject }) =>
        suggestionOrder(state, write.list, tag, subject) === undefined &&
        !wasRemoved(state, slotWide, suggestionName(write.list, tag, subject)),
    );
    return { ...entry, write: { ...write, changes } };
  }
  const owner = state.ownerOf(did);
  if (owner === undefined) return entry;
  const isKnown = isPresent(state, owner, write) || namesOf(write).some((what) => wasRemoved(state, owner, what));
  return isKnown ? undefined : entry;
}

/** Returns the part of an imported entry that is applied, or undefined for none. */
export function wantedPartOf(
  { state, appendMs }: ApplyContext,
  { did, entry }: IfAbsentEntry,
): IfAbsentEntry['entry'] | undefined {
  const owner = state.ownerOf(did);
  if (entry.kind === 'label') {
    const isRemoved = owner !== undefined && wasRemoved(state, owner, labelName(entry.label));
    return isRemoved ? undefined : entry;
  }
  if (owner !== undefined && accountDeletedMs(state, owner) !== undefined) return undefined;
  if (entry.kind === 'private') return wantedPrivate(state, entry);
  // One from the future would hide all later ones.
  const [eventMs, verifiedAtMs] = [Math.min(entry.eventMs, appendMs), Math.min(entry.verifiedAtMs, appendMs)];
  return { ...entry, eventMs, verifiedAtMs };
}

/** Does a step of removing the notes of an import that is over. Returns the rest, if any. */
export function dropImportNotesStep(
  context: ApplyContext,
  work: LongWorkOf<'import-notes'>,
): LongWorkOf<'import-notes'> | undefined {
  const { state } = context;
  // Another import has begun meanwhile.
  if (isImporting(state)) return undefined;
  for (const { key } of rowsAfter(state, removedPrefix(), Buffer.alloc(0))) {
    if (context.workUsLeft <= 0) return work;
    context.workUsLeft -= workCostUs.row;
    state.rows.remove(key);
  }
  return undefined;
}
