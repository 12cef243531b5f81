/** What the index holds of a record: of a post its text, alt texts, tags and filters. */

import { nsid } from '../atproto/collection.ts';
import { recordUri } from '../atproto/compact-key.ts';
import type { RecordRow } from '../slot/table/record-row.ts';
import {
  hasMedia,
  hasVideo,
  type JsonObject,
  mentionsOf,
  objectOf,
  replyOf,
  textOf,
} from '../slot/table/record-values.ts';
import { authorTerm, languageTerm, linkTerms, mentionTerm, tagTerm, traitTerm, uriTerm } from './filter-terms.ts';
import { type DocumentTerms, documentTerms } from './tokenise.ts';

/** Returns the value of a stored record. */
export function recordValue(row: RecordRow): JsonObject {
  return row.body.form === 'json' ? (JSON.parse(row.body.json) as JsonObject) : {};
}

/** Filter terms of one post; a stranger may write any number of links and tags. */
const filterTermsMax = 128;
const altTextsMax = 24;
const languagesMax = 8;
/** An embed holds others at most so deep. */
const embedDepthMax = 3;

function itemsOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

/** What an embed shows and links to. */
type Embedded = {
  readonly alts: string[];
  readonly titles: string[];
  readonly links: string[];
  readonly uris: string[];
};

function addEmbed(value: unknown, into: Embedded, depth = 0): void {
  const embed = objectOf(value);
  if (embed === undefined || depth > embedDepthMax) return;
  const alt = textOf(embed['alt']);
  if (alt !== undefined) into.alts.push(alt);
  for (const item of [...itemsOf(embed['images']), ...itemsOf(embed['items'])].slice(0, altTextsMax)) {
    const itemAlt = textOf(objectOf(item)?.['alt']);
    if (itemAlt !== undefined) into.alts.push(itemAlt);
  }
  const external = objectOf(embed['external']);
  const link = textOf(external?.['uri']);
  if (link !== undefined) into.links.push(link);
  for (const key of ['title', 'description']) {
    const text = textOf(external?.[key]);
    if (text !== undefined) into.titles.push(text);
  }
  const uri = textOf(objectOf(embed['record'])?.['uri']);
  if (uri !== undefined) into.uris.push(uri);
  addEmbed(embed['record'], into, depth + 1);
  addEmbed(embed['media'], into, depth + 1);
}

function featuresOf(post: JsonObject): JsonObject[] {
  const features = itemsOf(post['facets']).flatMap((facet) => itemsOf(objectOf(facet)?.['features']));
  return features.map(objectOf).filter((feature) => feature !== undefined);
}

function textsOf(values: readonly unknown[]): string[] {
  return values.filter((value) => typeof value === 'string');
}

/** Returns the terms of a post of `owner`, whose slot has `key`: words first, then filters. */
export function postTerms(post: JsonObject, key: number, owner: number): DocumentTerms {
  const embedded: Embedded = { alts: [], titles: [], links: [], uris: [] };
  addEmbed(post['embed'], embedded);
  const features = featuresOf(post);
  const tags = textsOf([...itemsOf(post['tags']), ...features.map(({ tag }) => tag)]);
  const links = textsOf([...embedded.links, ...features.map(({ uri }) => uri)]);
  const reply = replyOf(post);
  const filters = new Set([
    authorTerm(key, owner),
    traitTerm(reply === undefined ? 'original' : 'reply'),
    ...textsOf(itemsOf(post['langs']).slice(0, languagesMax)).map(languageTerm),
  ]);
  if (hasMedia(post)) filters.add(traitTerm('media'));
  if (hasVideo(post)) filters.add(traitTerm('media')).add(traitTerm('video'));
  if (reply !== undefined) filters.add(uriTerm('p', recordUri(reply.parent))).add(uriTerm('r', recordUri(reply.root)));
  for (const tag of tags.slice(0, filterTermsMax)) filters.add(tagTerm(tag));
  for (const did of mentionsOf(post)) filters.add(mentionTerm(did));
  for (const uri of embedded.uris) filters.add(uriTerm('e', uri));
  for (const link of links.slice(0, filterTermsMax)) for (const term of linkTerms(link)) filters.add(term);
  const fields = [textOf(post['text']) ?? '', ...embedded.alts.slice(0, altTextsMax), ...embedded.titles, ...tags];
  const { text, count } = documentTerms(fields.slice(0, filterTermsMax));
  const bounded = [...filters].slice(0, filterTermsMax);
  return { text: `${text} _ ${bounded.join(' ')}`, count };
}

/** What is found of an actor, a feed or a pack: by its name, and by all that it says. */
export type NamedTerms = { readonly name: string; readonly text: string };

/** Returns the parts of a handle as words, and its first label also without hyphens. */
function handleWords(handle: string): string {
  const first = handle.split('.')[0]!;
  return first.includes('-') ? `${handle} ${first.replaceAll('-', '')}` : handle;
}

/** Returns what is found of an actor. */
export function actorTerms(handle: string | null, profile: JsonObject | undefined): NamedTerms {
  const names = [handleWords(handle ?? ''), textOf(profile?.['displayName']) ?? ''];
  const description = textOf(profile?.['description']) ?? '';
  return { name: documentTerms(names).text, text: documentTerms([...names, description]).text };
}

/** Collections of records that are found by their names. */
export type Listed = typeof nsid.generator | typeof nsid.starterPack;

/** Returns what is found of a feed or a pack. */
export function namedTerms(value: JsonObject, collection: Listed): NamedTerms {
  const name = textOf(value[collection === nsid.generator ? 'displayName' : 'name']) ?? '';
  const description = textOf(value['description']) ?? '';
  return { name: documentTerms([name]).text, text: documentTerms([name, description]).text };
}
