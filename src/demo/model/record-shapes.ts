/**
 * Builds the records of the demo, each valid by its lexicon, keys in DAG-CBOR's canonical order
 * (shorter first, then by byte), which the served JSON keeps.
 */

import { cidCodec, cidOfBlock } from '../../atproto/cid.ts';
import { nsid } from '../../atproto/collection.ts';
import type { DagMap, DagValue } from '../../atproto/dag-value.ts';
import type { SeededRandom } from '../../base/seeded-random.ts';
import { type ComposedText, demoUrl, phrase, type TextFacet } from './post-text.ts';

export type StrongRef = { readonly uri: string; readonly cid: string };

function strongRef(ref: StrongRef): DagMap {
  return { cid: ref.cid, uri: ref.uri };
}

/** Returns a reference to a random blob that no server holds: the demo network serves no blobs. */
function blob(random: SeededRandom, mimeType: string, bytesMax: number): DagMap {
  const seed = Buffer.allocUnsafe(8);
  seed.writeUInt32BE(random.below(2 ** 32), 0);
  seed.writeUInt32BE(random.below(2 ** 32), 4);
  return { ref: cidOfBlock(seed, cidCodec.raw), size: 1000 + random.below(bytesMax), $type: 'blob', mimeType };
}

function image(random: SeededRandom): DagMap {
  const hasAlt = random.next() < 0.4;
  return {
    alt: hasAlt ? phrase(random, 40) : '',
    image: blob(random, 'image/jpeg', 950_000),
    aspectRatio: { width: 1000 + random.below(1000), height: 800 + random.below(1200) },
  };
}

function images(random: SeededRandom): DagMap {
  const count = random.next() < 0.7 ? 1 : 1 + random.below(4);
  return { $type: 'app.bsky.embed.images', images: Array.from({ length: count }, () => image(random)) };
}

function video(random: SeededRandom): DagMap {
  return {
    $type: 'app.bsky.embed.video',
    video: blob(random, 'video/mp4', 50_000_000),
    aspectRatio: { width: 1080, height: 1920 },
  };
}

function external(random: SeededRandom): DagMap {
  return {
    $type: 'app.bsky.embed.external',
    external: { uri: demoUrl(random), title: phrase(random, 30), description: phrase(random, 60) },
  };
}

export type PostEmbed = 'none' | 'images' | 'video' | 'external';

function media(random: SeededRandom, embed: PostEmbed): DagMap | null {
  if (embed === 'images') return images(random);
  if (embed === 'video') return video(random);
  return embed === 'external' ? external(random) : null;
}

function embedOf(random: SeededRandom, embed: PostEmbed, quoted: StrongRef | null): DagMap | null {
  const attached = media(random, embed);
  if (quoted === null) return attached;
  const record: DagMap = { $type: 'app.bsky.embed.record', record: strongRef(quoted) };
  if (attached === null) return record;
  return { $type: 'app.bsky.embed.recordWithMedia', media: attached, record };
}

function facetOf(facet: TextFacet): DagMap {
  const feature = facet.feature;
  const $type = `app.bsky.richtext.facet#${feature.type}`;
  let written: DagMap;
  if (feature.type === 'mention') written = { did: feature.did, $type };
  else if (feature.type === 'link') written = { uri: feature.uri, $type };
  else written = { tag: feature.tag, $type };
  return { index: { byteEnd: facet.byteEnd, byteStart: facet.byteStart }, features: [written] };
}

export type PostParts = {
  readonly composed: ComposedText;
  readonly reply: { readonly root: StrongRef; readonly parent: StrongRef } | null;
  readonly quoted: StrongRef | null;
  readonly embed: PostEmbed;
  readonly createdAt: string;
};

/** Returns a post, which is a root, a reply or a quote depending on its parts. */
export function postRecord(random: SeededRandom, parts: PostParts): DagMap {
  const { composed, reply, createdAt } = parts;
  const embed = embedOf(random, parts.embed, parts.quoted);
  const record: DagMap = { text: composed.text, $type: nsid.post };
  if (embed !== null) record['embed'] = embed;
  if (composed.lang !== null) record['langs'] = [composed.lang];
  if (reply !== null) record['reply'] = { root: strongRef(reply.root), parent: strongRef(reply.parent) };
  if (composed.facets.length > 0) record['facets'] = composed.facets.map(facetOf);
  record['createdAt'] = createdAt;
  return record;
}

/** Returns a like or a repost; `via` is the repost that led to it. */
export function engagementRecord(
  $type: typeof nsid.like | typeof nsid.repost,
  subject: StrongRef,
  via: StrongRef | null,
  createdAt: string,
): DagMap {
  if (via === null) return { $type, subject: strongRef(subject), createdAt };
  return { via: strongRef(via), $type, subject: strongRef(subject), createdAt };
}

/** Returns a follow, a block, or a subscription to a block list, whose subject is a URI. */
export function subjectRecord(
  $type: typeof nsid.follow | typeof nsid.block | typeof nsid.listBlock,
  subject: string,
  createdAt: string,
): DagMap {
  return { $type, subject, createdAt };
}

/** Returns a profile; avatar, banner and description are there by chance. */
export function profileRecord(random: SeededRandom, displayName: string, createdAt: string): DagMap {
  const record: DagMap = { $type: nsid.profile };
  if (random.next() < 0.8) record['avatar'] = blob(random, 'image/jpeg', 900_000);
  if (random.next() < 0.3) record['banner'] = blob(random, 'image/png', 900_000);
  record['createdAt'] = createdAt;
  if (random.next() < 0.7) record['description'] = phrase(random, 20 + random.below(120));
  record['displayName'] = displayName;
  return record;
}

/** Returns the status of someone who is live for a while. */
export function statusRecord(random: SeededRandom, createdAt: string): DagMap {
  return {
    $type: nsid.status,
    embed: external(random),
    status: 'app.bsky.actor.status#live',
    createdAt,
    durationMinutes: 30 + random.below(210),
  };
}

/** Returns a feed generator that `serviceDid` would serve. */
export function generatorRecord(random: SeededRandom, serviceDid: string, createdAt: string): DagMap {
  return {
    did: serviceDid,
    $type: nsid.generator,
    createdAt,
    description: phrase(random, 60),
    displayName: phrase(random, 8).slice(0, 20),
  };
}

/** Rule types of a thread gate, or a list by its URI. */
export type ReplyRule = 'mentionRule' | 'followerRule' | 'followingRule' | { readonly list: string };

/** Returns a gate on replies to `post`: null allows everyone, no rule nobody. */
export function threadgateRecord(post: string, allow: readonly ReplyRule[] | null, createdAt: string): DagMap {
  const $type = nsid.threadGate;
  if (allow === null) return { post, $type, createdAt };
  const rules: DagValue[] = allow.map((rule) =>
    typeof rule === 'string' ? { $type: `${$type}#${rule}` } : { list: rule.list, $type: `${$type}#listRule` },
  );
  return { post, $type, allow: rules, createdAt };
}

/** Returns a gate that forbids quoting `post`. */
export function postgateRecord(post: string, createdAt: string): DagMap {
  const $type = nsid.postGate;
  return { post, $type, createdAt, embeddingRules: [{ $type: `${$type}#disableRule` }] };
}

export type ListPurpose = 'modlist' | 'curatelist' | 'referencelist';

/** Returns a list; its members are list items. */
export function listRecord(random: SeededRandom, purpose: ListPurpose, createdAt: string): DagMap {
  return {
    name: phrase(random, 12).slice(0, 20),
    $type: nsid.list,
    purpose: `app.bsky.graph.defs#${purpose}`,
    createdAt,
    description: phrase(random, 40),
  };
}

/** Returns the membership of `subject` in a list of the same author. */
export function listItemRecord(list: string, subject: string, createdAt: string): DagMap {
  return { list, $type: nsid.listItem, subject, createdAt };
}

/** Returns a starter pack over a list of the same author, with one feed or none. */
export function starterPackRecord(random: SeededRandom, list: string, feed: string | null, createdAt: string): DagMap {
  const name = phrase(random, 12).slice(0, 20);
  const $type = nsid.starterPack;
  if (feed === null) return { list, name, $type, createdAt };
  return { list, name, $type, feeds: [{ uri: feed }], createdAt };
}

/** Returns a verification, which holds while the subject keeps handle and name. */
export function verificationRecord(subject: string, handle: string, displayName: string, createdAt: string): DagMap {
  return { $type: nsid.verification, handle, subject, createdAt, displayName };
}

/** Returns a labeler with two labels. */
export function labelerRecord(createdAt: string): DagMap {
  return { $type: nsid.labeler, policies: { labelValues: ['spam', 'rude'] }, createdAt };
}

/** Returns who may subscribe to the author's activity. */
export function notificationDeclarationRecord(allow: 'followers' | 'mutuals' | 'none'): DagMap {
  return { $type: nsid.notificationDeclaration, allowSubscriptions: allow };
}

/** Returns who may write to the author. */
export function chatDeclarationRecord(allow: 'all' | 'following' | 'none'): DagMap {
  return { $type: nsid.chatDeclaration, allowIncoming: allow };
}
