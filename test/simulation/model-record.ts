/** Records as the model reads them, implemented independently of the slots on purpose. */

export type Ref = { readonly did: string; readonly collection: string; readonly rkey: string };
export type Value = { readonly [key: string]: unknown };

type Owned = { readonly did: string; readonly collection: string; readonly value: Value };
export type ModelEdge = { readonly kind: string; readonly key: string; readonly subject: Subject };
/** An actor, one of its records, or, for a list item, an actor and the list. */
export type Subject = { readonly did: string; readonly ref: Ref | null };

export function parsedValue(json: string): Value {
  return JSON.parse(json) as Value;
}

/** Returns the three parts of an AT-URI whose authority is a DID, or undefined. */
export function parseUri(uri: unknown): Ref | undefined {
  if (typeof uri !== 'string') return undefined;
  const match = /^at:\/\/(did:[^/]*)\/([^/]+)\/([^/?#]+)$/.exec(uri);
  const [, did = '', collection = '', rkey = ''] = match ?? [];
  if (match === null || did.length > 256 || collection.length > 317 || rkey.length > 512) return undefined;
  return { did, collection, rkey };
}

const kindByCollection: Readonly<Record<string, string>> = {
  'app.bsky.graph.follow': 'follow',
  'app.bsky.feed.like': 'like',
  'app.bsky.feed.repost': 'repost',
  'app.bsky.graph.block': 'block',
  'app.bsky.graph.listitem': 'list-item',
  'app.bsky.graph.listblock': 'list-block',
  'app.bsky.graph.verification': 'verification',
  'app.bsky.graph.referencelistoptout': 'list-opt-out',
};

function uriIn(value: unknown): unknown {
  return typeof value === 'object' && value !== null && 'uri' in value ? value.uri : value;
}

function isDid(value: unknown): value is string {
  return typeof value === 'string' && value.startsWith('did:') && value.length <= 256;
}

function subjectOf(kind: string, value: Value): Subject | undefined {
  if (kind === 'like' || kind === 'repost' || kind === 'list-block' || kind === 'list-opt-out') {
    const ref = parseUri(uriIn(value['subject']));
    return ref === undefined ? undefined : { did: ref.did, ref };
  }
  const did = value['subject'];
  if (!isDid(did)) return undefined;
  if (kind !== 'list-item') return { did, ref: null };
  const ref = parseUri(value['list']);
  return ref === undefined ? undefined : { did, ref };
}

/** Renders a subject as text, the same for the same subject. */
export function textOfSubject(subject: Subject): string {
  return subject.ref === null
    ? subject.did
    : `${subject.did} ${subject.ref.did}/${subject.ref.collection}/${subject.ref.rkey}`;
}

/** Returns the subject of an edge record, or undefined when the record has none. */
export function edgeOf(record: Owned): ModelEdge | undefined {
  const kind = kindByCollection[record.collection];
  if (kind === undefined) return undefined;
  const subject = subjectOf(kind, record.value);
  return subject === undefined ? undefined : { kind, subject, key: `${record.did} ${kind} ${textOfSubject(subject)}` };
}

/** Returns the root and parent of a reply, if both references name records. */
export function replyRefsOf(post: { readonly value: Value }): { root: Ref; parent: Ref } | undefined {
  const reply = post.value['reply'] as { root?: { uri?: unknown }; parent?: { uri?: unknown } } | undefined;
  const root = parseUri(reply?.root?.uri);
  const parent = parseUri(reply?.parent?.uri);
  return root === undefined || parent === undefined ? undefined : { root, parent };
}

export function viaOf(value: Value): Ref | undefined {
  return parseUri(uriIn(value['via']));
}

export function packOf(value: Value): Ref | undefined {
  return parseUri(uriIn(value['joinedViaStarterPack']));
}

type Embed = {
  readonly $type?: string;
  readonly record?: unknown;
  readonly media?: unknown;
  readonly images?: unknown;
};

function embedsOf(post: Value): Embed[] {
  const embed = post['embed'] as Embed | undefined;
  if (embed === undefined) return [];
  if (embed.$type !== 'app.bsky.embed.recordWithMedia') return [embed];
  return [{ ...(embed.record as Embed), $type: 'app.bsky.embed.record' }, embed.media as Embed];
}

/** Returns the post that a post quotes. */
export function quoteOf(post: Value): Ref | undefined {
  return embedsOf(post)
    .filter((embed) => embed.$type === 'app.bsky.embed.record')
    .map((embed) => parseUri(uriIn(embed.record)))
    .find((ref) => ref?.collection === 'app.bsky.feed.post');
}

export function hasImages(post: Value): boolean {
  return embedsOf(post).some(
    ({ $type, images }) => $type === 'app.bsky.embed.images' && Array.isArray(images) && images.length > 0,
  );
}

export function hasVideo(post: Value): boolean {
  return embedsOf(post).some(({ $type }) => $type === 'app.bsky.embed.video');
}

/** Returns the DIDs that a post mentions, each once. */
export function mentionsOf(post: Value): string[] {
  const facets = (post['facets'] ?? []) as readonly {
    readonly features: readonly { readonly $type: string; readonly did?: string }[];
  }[];
  const features = facets.flatMap((facet) => facet.features);
  return [
    ...new Set(
      features.flatMap(({ $type, did }) =>
        $type === 'app.bsky.richtext.facet#mention' && did !== undefined ? [did] : [],
      ),
    ),
  ];
}
