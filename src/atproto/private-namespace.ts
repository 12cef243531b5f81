/**
 * The namespaces of actors' private data, and the kinds of private data that can be erased.
 *
 * Any other namespace is stored too, by its name.
 */
import type { ByteReader, ByteWriter } from '../base/bytes.ts';

/** The namespaces that are indexed, read by a method or frequent. */
export const privateNamespace = {
  bookmark: 'app.bsky.bookmark.defs#bookmark',
  draft: 'app.bsky.draft.defs#draftWithId',
  activitySubscription: 'app.bsky.notification.defs#subjectActivitySubscription',
  preferences: 'app.bsky.notification.defs#preferences',
  ageAssurance: 'app.bsky.ageassurance.defs#event',
  ageAssuranceV1: 'app.bsky.unspecced.defs#ageAssuranceEvent',
  contact: 'app.bsky.contact.defs#notification',
} as const;

/** In the order of their codes in keys and entries, from 1. Append only. */
const coded: readonly string[] = Object.values(privateNamespace);
const codeOther = 255;

/** Longer ones are refused at the edges, so that keys fit. Units: characters. */
export const namespaceLengthMax = 512;

/** True for `<nsid>` or `<nsid>#<name>` that fits keys. */
export function isNamespace(namespace: string): boolean {
  return namespace.length <= namespaceLengthMax && /^[a-zA-Z0-9.-]+(#[a-zA-Z][a-zA-Z0-9]*)?$/.test(namespace);
}

/** Writes a namespace as its code, or as text when it has none. */
export function writeNamespace(writer: ByteWriter, namespace: string): void {
  const index = coded.indexOf(namespace);
  if (index < 0) writer.u8(codeOther).text(namespace);
  else writer.u8(index + 1);
}

/** Reads what `writeNamespace` wrote. Errors: MalformedBytes for an unassigned code. */
export function readNamespace(reader: ByteReader): string {
  const code = reader.u8();
  if (code === codeOther) return reader.text();
  return coded[code - 1] ?? reader.fail('a namespace of an unknown code');
}

/** What can be erased of an actor's private data; `private-data` is every namespace. */
export const privateKinds = ['private-data', 'bookmarks', 'drafts', 'activity-subscriptions'] as const;

export type PrivateKind = (typeof privateKinds)[number];

/** The namespaces of kinds that are one namespace. */
export const namespaceOfKind: Readonly<Partial<Record<PrivateKind, string>>> = {
  bookmarks: privateNamespace.bookmark,
  drafts: privateNamespace.draft,
  'activity-subscriptions': privateNamespace.activitySubscription,
};

const kindByNamespace = new Map(Object.entries(namespaceOfKind).map(([kind, of]) => [of, kind as PrivateKind]));

/** Returns the kind that is this namespace, if there is one. */
export function kindOfNamespace(namespace: string): PrivateKind | undefined {
  return kindByNamespace.get(namespace);
}

/** What privacy requests erase: all namespaces, one kind of them, or all mutes. Append only. */
export const erasedKinds = [...privateKinds, 'mutes'] as const;

export type ErasedKind = (typeof erasedKinds)[number];
