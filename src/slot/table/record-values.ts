/** What apply reads from a record's JSON, which ingest has checked; fields may be absent. */
import { nsid } from '../../atproto/collection.ts';
import { isKeyableDid, parseRecordUri, type RecordRef } from '../../atproto/compact-key.ts';

export type JsonObject = { readonly [key: string]: unknown };

const recordWithMedia = 'app.bsky.embed.recordWithMedia';

/** Returns the value if it is an object other than an array, else undefined. */
export function objectOf(value: unknown): JsonObject | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as JsonObject) : undefined;
}

/** Returns the value if it is a string, else undefined. */
export function textOf(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

/** Returns the record that a strong reference, or a plain AT-URI, points at. */
export function refOf(value: unknown): RecordRef | undefined {
  const uri = textOf(value) ?? textOf(objectOf(value)?.['uri']);
  return uri === undefined ? undefined : parseRecordUri(uri);
}

/** Returns createdAt in ms, or null when it is missing or no date. */
export function createdMsOf(value: JsonObject): number | null {
  const text = textOf(value['createdAt']);
  if (text === undefined) return null;
  const parsed = Date.parse(text);
  return Number.isNaN(parsed) ? null : parsed;
}

/** The root of the thread, as the reply claims, and the post that it answers. */
export type ReplyRefs = { readonly root: RecordRef; readonly parent: RecordRef };

/** Returns what a post replies to; undefined for no reply or an unusable reference. */
export function replyOf(post: JsonObject): ReplyRefs | undefined {
  const reply = objectOf(post['reply']);
  const root = refOf(reply?.['root']);
  const parent = refOf(reply?.['parent']);
  return root === undefined || parent === undefined ? undefined : { root, parent };
}

/** Returns a post's embed and the media beside a quote, whose content the lexicon leaves open. */
function mediaOf(post: JsonObject): JsonObject[] {
  const embed = objectOf(post['embed']);
  if (embed === undefined) return [];
  const media = embed['$type'] === recordWithMedia ? objectOf(embed['media']) : embed;
  return media === undefined ? [] : [media];
}

/** Returns the post that a post quotes: in its embed, or there beside media, but not in media. */
export function quoteOf(post: JsonObject): RecordRef | undefined {
  const embed = objectOf(post['embed']);
  const type = embed?.['$type'];
  const quote = type === recordWithMedia ? objectOf(embed?.['record']) : embed;
  const ref = type === recordWithMedia || type === 'app.bsky.embed.record' ? refOf(quote?.['record']) : undefined;
  return ref?.collection === nsid.post ? ref : undefined;
}

function hasGalleryImage(embed: JsonObject): boolean {
  const items = embed['items'];
  return Array.isArray(items) && items.some((item) => objectOf(item)?.['$type'] === 'app.bsky.embed.gallery#image');
}

/** True for a post with images, plain or in a gallery, also beside a quote; a video is none. */
export function hasMedia(post: JsonObject): boolean {
  return mediaOf(post).some((embed) => {
    if (embed['$type'] === 'app.bsky.embed.gallery') return hasGalleryImage(embed);
    const images = embed['images'];
    return embed['$type'] === 'app.bsky.embed.images' && Array.isArray(images) && images.length > 0;
  });
}

/** True for a post with a video, also beside a quote. */
export function hasVideo(post: JsonObject): boolean {
  return mediaOf(post).some((embed) => embed['$type'] === 'app.bsky.embed.video');
}

/** Further mentions send no notification. */
export const mentionsMax = 100;

/** Returns the DIDs that a post's facets mention and keys can hold, each once, in order. */
export function mentionsOf(post: JsonObject): string[] {
  const dids = new Set<string>();
  const facets = Array.isArray(post['facets']) ? post['facets'] : [];
  for (const facet of facets) {
    const features = objectOf(facet)?.['features'];
    if (!Array.isArray(features)) continue;
    for (const feature of features) {
      const { $type, did } = objectOf(feature) ?? {};
      if ($type === 'app.bsky.richtext.facet#mention' && typeof did === 'string' && isKeyableDid(did)) dids.add(did);
      if (dids.size >= mentionsMax) return [...dids];
    }
  }
  return [...dids];
}
