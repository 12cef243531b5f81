/** Answers the call for what an actor keeps in private: data of all namespaces, and mutes. */
import { readRecordRef, recordUri } from '../atproto/compact-key.ts';
import { clearsOfListMute, listMutePrefix, muteByTimePrefix, readListedMute } from '../slot/table/mute.ts';
import { clearCount } from '../slot/table/mute-clears.ts';
import { privatePrefix, readPrivateItem, readPrivateRow } from '../slot/table/private-data.ts';
import { readKey, type SlotState } from '../slot/table/slot-state.ts';
import { threadMutePrefix } from '../slot/table/thread-mute.ts';
import { keyAfter, prefixEnd, type Row } from '../storage/environment.ts';
import {
  type PrivatePageItem,
  type PrivatePosition,
  type PrivateSection,
  privatePageBytesMax,
  privatePageItemsMax,
  privateSections,
} from '../wire/private-page.ts';

type Section = {
  readonly prefix: (owner: number) => Buffer;
  /** Returns undefined for a row that means nothing. */
  readonly read: (state: SlotState, owner: number, row: Row) => Omit<PrivatePageItem, 'section'> | undefined;
};

const noData = { namespace: '', createdMs: 0, updatedMs: 0, payload: '' } as const;

function recordMutes(prefix: Section['prefix'], sort: 'list' | 'thread'): Section {
  return {
    prefix,
    read: (state, owner, { key, value }) => {
      if (clearsOfListMute(value) !== clearCount(state, owner, sort)) return undefined;
      return { ...noData, key: recordUri(readRecordRef(readKey(key))) };
    },
  };
}

const sectionByName: { readonly [Name in PrivateSection]: Section } = {
  items: {
    prefix: (owner) => privatePrefix(owner, null),
    read: (_state, _owner, { key, value }) => {
      const item = readPrivateItem(key);
      if (item === undefined) return undefined;
      const { createdMs, updatedMs, payload } = readPrivateRow(value);
      return { ...item, createdMs, updatedMs, payload };
    },
  },
  mutes: {
    prefix: muteByTimePrefix,
    read: (state, owner, { key, value }) => {
      const { subject, clears } = readListedMute(key, value);
      return clears === clearCount(state, owner, 'actor') ? { ...noData, key: subject } : undefined;
    },
  },
  'list-mutes': recordMutes(listMutePrefix, 'list'),
  'thread-mutes': recordMutes(threadMutePrefix, 'thread'),
};

/** Returns one page, of one section. */
export function privatePage(
  state: SlotState,
  did: string,
  { section, after }: PrivatePosition,
): { items: PrivatePageItem[]; next: PrivatePosition | null } {
  const owner = state.ownerOf(did);
  if (owner === undefined) return { items: [], next: null };
  const { prefix, read } = sectionByName[section];
  const first = prefix(owner);
  const start = after === '' ? first : keyAfter(Buffer.from(after, 'hex'));
  const items: PrivatePageItem[] = [];
  let rows = 0;
  let bytes = 0;
  for (const row of state.rows.scan({ start, end: prefixEnd(first), limit: privatePageItemsMax })) {
    const item = read(state, owner, row);
    if (item !== undefined) items.push({ section, ...item });
    bytes += row.value.length;
    if (++rows === privatePageItemsMax || bytes >= privatePageBytesMax) {
      return { items, next: { section, after: row.key.toString('hex') } };
    }
  }
  const following = privateSections[privateSections.indexOf(section) + 1];
  return { items, next: following === undefined ? null : { section: following, after: '' } };
}
