/**
 * The reasons of notifications, as the AppView knows them: one row each.
 *
 * A new reason needs a row here and the apply rule that sends it.
 */
import { type Collection, nsid } from './collection.ts';

/** Reasons of posts, which share one row, highest first. The order is stored: append only. */
export const postReasons = ['mention', 'quote', 'reply'] as const;

/** All other reasons and the collections of their records. The order is stored: append only. */
export const ownRowReasons = [
  { reason: 'like', collection: nsid.like },
  { reason: 'repost', collection: nsid.repost },
  { reason: 'follow', collection: nsid.follow },
  { reason: 'like-via-repost', collection: nsid.like },
  { reason: 'repost-via-repost', collection: nsid.repost },
  { reason: 'starterpack-joined', collection: nsid.profile },
  { reason: 'verified', collection: nsid.verification },
  { reason: 'unverified', collection: nsid.verification },
] as const satisfies readonly { readonly reason: string; readonly collection: Collection }[];

export type NoticeReason = (typeof postReasons)[number] | (typeof ownRowReasons)[number]['reason'];

export const noticeReasons: readonly NoticeReason[] = [...postReasons, ...ownRowReasons.map(({ reason }) => reason)];

const knownReasons: ReadonlySet<string> = new Set(noticeReasons);

/** True for a reason of the table. */
export function isNoticeReason(text: string): text is NoticeReason {
  return knownReasons.has(text);
}
