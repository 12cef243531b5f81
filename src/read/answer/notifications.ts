/**
 * Notifications: pages by time, and the number of unread ones.
 *
 * The AppView makes the first token itself, an ISO time, and gives back unchanged what is no date.
 * So our own tokens are those of other pages: none is skipped or repeated, however many notices
 * share a millisecond.
 */
import { nsid } from '../../atproto/collection.ts';
import { readDid } from '../../atproto/compact-key.ts';
import { plcDidLength } from '../../atproto/did-plc.ts';
import { type NoticeReason, noticeReasons } from '../../atproto/notice-reason.ts';
import { tidLength } from '../../atproto/tid.ts';
import { ByteReader } from '../../base/bytes.ts';
import { fieldNumber } from '../../proto/generated/bsky-service.ts';
import type { MessageWriter } from '../../proto/message-writer.ts';
import { appendDid, appendPath, appendRkey } from '../../slot/packing/key-text.ts';
import { getActor } from '../../slot/table/actor-row.ts';
import { collectionByClass } from '../../slot/table/notice.ts';
import { NoticeView } from '../../slot/table/notice-view.ts';
import { noOwner, type SlotState } from '../../slot/table/slot-state.ts';
import { getUnreadCount, noticeKeyAt, noticePrefix } from '../../slot/table/unread-count.ts';
import type { CachedActor, EdgeCache } from '../cache/edge-cache.ts';
import { keyToken, type PageRequest, pageLimit, visitRows, type WalkStart, walkFrom } from '../lookup/page.ts';
import { ownerOfDid, requireWhole } from '../lookup/slot-lookup.ts';
import { rkeyOfActorEdge } from './edge-probes.ts';
import { isTidIn, RepeatedItem } from './repeated-item.ts';

/** Notices that a page shows at most. */
const shownMax = 500;
/** Notices read for one page; a page with few matches may end early, with a token. */
const scannedMax = 1_000;
const tokenField = 'GetNotificationsRequest.cursor';

const field = fieldNumber.Notification;
const { notifications: items, cursor: cursorField } = fieldNumber.GetNotificationsResponse;
/** A notice takes 128 bytes or more, unless its DIDs are short. */
const lengthBytes = 2;
/** The number of the field, and the length. */
const itemHeadBytes = 1 + lengthBytes;

/** Returns where a page begins: at an ISO time, after the item of our token, or at the newest. */
function startOf(owner: number, cursor: string): WalkStart {
  const prefix = noticePrefix(owner);
  const timeMs = cursor === '' ? Number.NaN : Date.parse(cursor);
  if (Number.isNaN(timeMs)) return walkFrom(prefix, cursor, tokenField);
  return { prefix, start: noticeKeyAt(owner, timeMs), after: null };
}

/** Whose notifications are read, and whom it follows. */
export type Recipient = { readonly state: SlotState; readonly did: string; readonly edges: EdgeCache };

const uriHead = Buffer.from('at://');
const postPath = Buffer.from(`/${nsid.post}/`);
/** Between DID and rkey of a source. */
const pathByCollection: ReadonlyMap<string, Buffer> = new Map(
  collectionByClass.map((collection) => [collection, Buffer.from(`/${collection}/`)]),
);
const bytesByReason: ReadonlyMap<NoticeReason, Buffer> = new Map(
  noticeReasons.map((reason) => [reason, Buffer.from(reason)]),
);

type ItemByReason = Map<NoticeReason, { readonly item: RepeatedItem; readonly tidBack: number }>;

const view = new NoticeView();

/** Writes the notices of one recipient. */
class NoticeWriter {
  readonly #into: MessageWriter;
  readonly #recipient: Buffer;
  /** Items by their reason, without and with a subject, up to the time. */
  readonly #plainItems: ItemByReason = new Map();
  readonly #subjectItems: ItemByReason = new Map();

  constructor(into: MessageWriter, recipient: string) {
    this.#into = into;
    this.#recipient = Buffer.from(recipient);
  }

  write(isPriority: boolean): void {
    const into = this.#into;
    const itemStart = into.length;
    const isUsual = view.isPlc && isTidIn(view.bytes, view.rkeyAt) && (view.subjectAt < 0 || view.hasPostSubject);
    const isRepeated = isUsual && this.#repeat();
    const start = isRepeated ? itemStart + itemHeadBytes : into.begin(items, lengthBytes);
    const tidEnd = isRepeated ? 0 : this.#writeWhole();
    const end = into.length;
    into.timeField(field.timestamp, view.sortMs);
    if (isPriority) into.trueField(field.priority);
    // Where the length took other bytes than were guessed, what was written has moved.
    const isInPlace = into.end(start, lengthBytes) === lengthBytes;
    if (isRepeated || !isUsual || !isInPlace) return;
    const item = new RepeatedItem(into);
    item.keep(itemStart, end);
    this.#items.set(view.reason, { item, tidBack: end - tidEnd + tidLength });
  }

  get #items(): ItemByReason {
    return view.subjectAt < 0 ? this.#plainItems : this.#subjectItems;
  }

  /** Writes the notice as a copy of one of the same kind; false when there is none. */
  #repeat(): boolean {
    const known = this.#items.get(view.reason);
    if (known === undefined) return false;
    const { item, tidBack } = known;
    const { bytes } = view;
    item.repeat();
    item.plc(tidBack + view.collection.length + 2 + plcDidLength, bytes, view.didAt);
    item.tid(tidBack, bytes, view.rkeyAt);
    if (view.subjectAt >= 0) item.tid(tidLength, bytes, view.subjectAt);
    return true;
  }

  /** Writes all but the time and what follows it. Returns where the source's rkey ends. */
  #writeWhole(): number {
    const into = this.#into;
    const { bytes } = view;
    into.bytesField(field.recipientDid, this.#recipient);
    const uri = into.begin(field.uri, 1);
    into.bytes(uriHead);
    appendDid(into, bytes, view.didAt);
    into.bytes(pathByCollection.get(view.collection)!);
    appendRkey(into, bytes, view.rkeyAt);
    into.end(uri, 1);
    const tidEnd = into.length;
    into.bytesField(field.reason, bytesByReason.get(view.reason)!);
    if (view.subjectAt >= 0) this.#writeSubject();
    return tidEnd;
  }

  #writeSubject(): void {
    const into = this.#into;
    const start = into.begin(field.reasonSubject, 1);
    into.bytes(uriHead).bytes(this.#recipient);
    let rkeyAt = view.subjectAt;
    if (view.isSubjectPost) into.bytes(postPath);
    else rkeyAt = appendPath(into, view.bytes, rkeyAt);
    appendRkey(into, view.bytes, rkeyAt);
    into.end(start, 1);
  }
}

/** Whether the notice in `view` is listed, and whether the recipient follows its author. */
class NoticeFilter {
  readonly #recipient: Recipient;
  readonly #owner: number;
  readonly #actor: CachedActor | undefined;
  /** Whether a subject is stored, by its bytes: notices of one page share few. */
  readonly #isStored = new Map<string, boolean>();

  constructor(recipient: Recipient, owner: number) {
    this.#recipient = recipient;
    this.#owner = owner;
    const did = Buffer.from(recipient.did, 'latin1');
    this.#actor = owner === noOwner ? undefined : recipient.edges.get(did, 0, did.length);
  }

  /** True unless it is muted, or about a record of the recipient that no longer exists. */
  isShown(): boolean {
    if (view.isMuted) return false;
    if (view.subjectAt < 0) return true;
    const subject = view.bytes.latin1Slice(view.subjectAt - 1, view.subjectEnd);
    const known = this.#isStored.get(subject);
    if (known !== undefined) return known;
    const isStored = view.isSubjectStored(this.#recipient.state, this.#owner);
    this.#isStored.set(subject, isStored);
    return isStored;
  }

  isPriority(): boolean {
    const { state, did, edges } = this.#recipient;
    if (view.isPlc && this.#actor !== undefined)
      return edges.pointsAtPlc(this.#actor, 'follow', view.bytes, view.didAt + 1);
    const author = readDid(new ByteReader(view.bytes, view.didAt));
    return rkeyOfActorEdge(state, did, 'follow', author) !== '';
  }
}

/** Errors: DataPlaneError `InvalidArgument` for a token that is neither a time nor ours. */
export function writeNotifications(
  into: MessageWriter,
  recipient: Recipient,
  page: PageRequest,
  onlyPriority: boolean,
): void {
  const { state, did } = recipient;
  const limit = Math.min(pageLimit(page.limit), shownMax);
  const owner = ownerOfDid(state, did) ?? noOwner;
  const walk = startOf(owner, page.cursor);
  if (limit === 0) return;
  const writer = new NoticeWriter(into, did);
  const filter = new NoticeFilter(recipient, owner);
  let shown = 0;
  let scanned = 0;
  visitRows(state.rows, walk, scannedMax + 1, (row) => {
    if (shown >= limit || scanned++ >= scannedMax) {
      // The view is still at the last one.
      into.textField(cursorField, keyToken(view.bytes.subarray(0, view.keyLength), walk.prefix.length));
      return false;
    }
    view.read(row);
    if (!filter.isShown()) return true;
    const isPriority = filter.isPriority();
    if (onlyPriority && !isPriority) return true;
    writer.write(isPriority);
    shown++;
    return true;
  });
  if (scanned === 0) requireWhole(state);
}

/**
 * Returns the number of notices since the actor last looked, of records that exist and are not
 * taken down, even if their subject is gone. An unknown or taken-down actor has none.
 */
export function unreadCount(state: SlotState, did: string): number {
  const owner = ownerOfDid(state, did);
  const actor = owner === undefined ? undefined : getActor(state, owner);
  if (owner === undefined || actor === undefined || actor.takedownRef !== null) return 0;
  return getUnreadCount(state, owner);
}
