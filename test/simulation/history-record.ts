/** Records for histories, which refer to existing or missing records, to themselves, or to none. */
import type { SeededRandom } from '../../src/base/seeded-random.ts';

/** Returns a TID that ascends with `number`. */
export function tidOf(number: number): string {
  const digits = '234567abcdefghijklmnopqrstuvwxyz';
  let text = '';
  for (let rest = number; text.length < 10; rest = Math.floor(rest / 32)) text = digits[rest % 32] + text;
  return `3k2${text}`;
}

export function pick<Item>(random: SeededRandom, items: readonly Item[]): Item {
  return items[random.below(items.length)]!;
}

type Json = { readonly [key: string]: unknown };

const postCollection = 'app.bsky.feed.post';
const collections = [
  ...new Array<string>(30).fill('app.bsky.feed.post'),
  ...new Array<string>(18).fill('app.bsky.feed.like'),
  ...new Array<string>(12).fill('app.bsky.feed.repost'),
  ...new Array<string>(10).fill('app.bsky.graph.follow'),
  ...new Array<string>(5).fill('app.bsky.graph.block'),
  ...new Array<string>(4).fill('app.bsky.graph.listitem'),
  ...new Array<string>(3).fill('app.bsky.graph.verification'),
  ...new Array<string>(5).fill('app.bsky.feed.threadgate'),
  ...new Array<string>(2).fill('app.bsky.feed.postgate'),
  'app.bsky.graph.listblock',
  'app.bsky.graph.referencelistoptout',
  'app.bsky.graph.list',
  'app.bsky.feed.generator',
  'app.bsky.graph.starterpack',
  'app.bsky.actor.profile',
  'app.bsky.labeler.service',
];
const sharedRkeys = [
  ...Array.from({ length: 7 }, (_unused, index) => tidOf(1000 + index)),
  'self',
  'a.b:c~_-',
  'x'.repeat(512),
  '3k2aaaaaaaaa1',
];
const collectionsReferredTo = [
  'app.bsky.feed.post',
  'app.bsky.feed.post',
  'app.bsky.feed.post',
  'app.bsky.graph.list',
  'com.example.odd',
];
const image = { image: { $type: 'blob' }, alt: '' };

/** A post that is written once, and the root of its thread. */
type LastingPost = { readonly did: string; readonly uri: string; readonly root: string };
const lastingNumber = 3000;

export class RecordMaker {
  readonly #random: SeededRandom;
  readonly #lasting: LastingPost[] = [];
  readonly #dids: readonly string[];

  constructor(random: SeededRandom, dids: readonly string[]) {
    this.#random = random;
    this.#dids = dids;
  }

  /** Draws the record that a repo writes next, out of few, so that it is written again. */
  nextKey(did: string): { collection: string; rkey: string } {
    const collection = pick(this.#random, collections);
    if (collection === postCollection && this.#random.below(4) === 0)
      return { collection, rkey: tidOf(lastingNumber + this.#lasting.length) };
    const isSelf = collection === 'app.bsky.actor.profile' || collection === 'app.bsky.labeler.service';
    // Some repos are so busy that they hold many duplicates.
    const spread = this.#dids.indexOf(did) === 0 ? 40 : 6;
    const rkey =
      this.#random.below(8) === 0 ? pick(this.#random, sharedRkeys) : tidOf(1000 + this.#random.below(spread));
    return { collection, rkey: isSelf ? 'self' : rkey };
  }

  #did(): string {
    return pick(this.#random, this.#dids);
  }

  #uri(collection = pick(this.#random, collectionsReferredTo)): string {
    const random = this.#random;
    if (collection === postCollection && this.#lasting.length > 0 && random.below(3) === 0)
      return pick(random, this.#lasting).uri;
    const rkey = random.below(9) === 0 ? pick(random, sharedRkeys) : tidOf(1000 + random.below(6));
    return `at://${this.#did()}/${collection}/${rkey}`;
  }

  #weirdUri(): unknown {
    const post = this.#uri('app.bsky.feed.post');
    const weird = [
      '',
      7,
      null,
      'at://',
      'at://name.example/app.bsky.feed.post/x',
      `${post}?a=b`,
      `${post}#`,
      `${post}/more`,
      post.slice(0, post.lastIndexOf('/') + 1),
    ];
    return pick(this.#random, [
      ...weird,
      `${post}${'y'.repeat(600)}`,
      `at://did:web:${'z'.repeat(300)}/app.bsky.feed.post/x`,
    ]);
  }

  #ref(collection?: string): Json {
    return {
      cid: 'bafyreigq4zsipbk5w3uqkbmh2w2633c5tcwudqu5ae3yvwr2hkgw2bkgfe',
      uri: this.#random.below(15) === 0 ? this.#weirdUri() : this.#uri(collection),
    };
  }

  #createdAt(nowMs: number): unknown {
    const iso = (timeMs: number): string => new Date(timeMs).toISOString();
    const odd = [
      '9999-12-31T23:59:59.999Z',
      '0000-01-01T00:00:00.000Z',
      '0000-01-01T00:00:00.000+14:00',
      'yesterday',
      '2024-01-01T00:00:00Z',
      12,
      undefined,
    ];
    const draw = this.#random.below(20);
    if (draw < 12) return iso(nowMs);
    if (draw < 15) return iso(nowMs - this.#random.below(4) * 1000);
    return draw < 17 ? iso(nowMs + 86_400_000) : pick(this.#random, odd);
  }

  /** Returns the roots of the threads of a repo's posts that are written once. */
  lastingRoots(did: string): readonly string[] {
    return this.#lasting.filter((post) => post.did === did).map(({ root }) => root);
  }

  /** Draws a record. */
  record(did: string, collection: string, rkey: string, nowMs: number): Json {
    const createdAt = this.#createdAt(nowMs);
    const body = this.#body(did, collection, rkey);
    const isUsual = this.#random.below(10) > 0;
    const record = { $type: collection, ...body, createdAt };
    return isUsual ? record : { ...record, extra: [1, '\u2028é'] };
  }

  #body(did: string, collection: string, rkey: string): Json {
    switch (collection) {
      case 'app.bsky.feed.post':
        return this.#post(did, rkey);
      case 'app.bsky.feed.like':
      case 'app.bsky.feed.repost': {
        const subject = this.#ref();
        return this.#random.below(4) === 0 ? { subject, via: this.#ref('app.bsky.feed.repost') } : { subject };
      }
      case 'app.bsky.graph.follow':
      case 'app.bsky.graph.block':
        return { subject: this.#random.below(15) === 0 ? 'nobody' : this.#did() };
      case 'app.bsky.graph.verification':
        return {
          subject: this.#random.below(15) === 0 ? 'nobody' : this.#did(),
          handle: `h${this.#random.below(3)}.example`,
          displayName: `Name ${this.#random.below(3)}`,
        };
      case 'app.bsky.graph.listitem':
        return { subject: this.#did(), list: `at://${did}/app.bsky.graph.list/${tidOf(this.#random.below(2))}` };
      case 'app.bsky.graph.listblock':
      case 'app.bsky.graph.referencelistoptout':
        return { subject: this.#uri('app.bsky.graph.list') };
      case 'app.bsky.actor.profile':
        return this.#random.below(2) === 0 ? {} : { joinedViaStarterPack: this.#ref('app.bsky.graph.starterpack') };
      case 'app.bsky.feed.threadgate':
        return { post: `at://${did}/app.bsky.feed.post/${rkey}`, ...this.#threadRules() };
      case 'app.bsky.feed.postgate': {
        const embeddingRules = pick<readonly Json[] | undefined>(this.#random, [
          undefined,
          [],
          [{ $type: 'app.bsky.feed.postgate#disableRule' }],
          [{ $type: 'app.bsky.feed.postgate#disableRule' }],
        ]);
        return { post: `at://${did}/app.bsky.feed.post/${rkey}`, ...(embeddingRules && { embeddingRules }) };
      }
      default:
        return { name: 'n' };
    }
  }

  /** Who may reply; lists are few, so that items of them exist. */
  #threadRules(): Json {
    const random = this.#random;
    const rules = ['mentionRule', 'followerRule', 'followingRule', 'listRule', 'com.example.unknown'];
    const allow = Array.from({ length: random.below(3) }, () => {
      const name = pick(random, rules);
      const $type = name.includes('.') ? name : `app.bsky.feed.threadgate#${name}`;
      return name === 'listRule' ? { $type, list: this.#list() } : { $type };
    });
    const hiddenReplies = Array.from({ length: random.below(3) }, () => this.#uri('app.bsky.feed.post'));
    return {
      ...(random.below(5) > 0 && { allow }),
      ...(random.below(2) > 0 && { hiddenReplies }),
    };
  }

  #list(): string {
    const rkey = tidOf(this.#random.below(2));
    return `at://${this.#dids[this.#random.below(2)]}/app.bsky.graph.list/${rkey}`;
  }

  #post(did: string, rkey: string): Json {
    const random = this.#random;
    const own = { cid: 'c', uri: `at://${did}/app.bsky.feed.post/${rkey}` };
    const isLasting = rkey === tidOf(lastingNumber + this.#lasting.length);
    const post: { [key: string]: unknown } = { text: `t${random.below(3)}` };
    const lasting = this.#lasting.length > 0 && random.below(2) === 0 ? pick(random, this.#lasting) : undefined;
    if (lasting !== undefined) {
      post['reply'] = { root: { cid: 'c', uri: lasting.root }, parent: { cid: 'c', uri: lasting.uri } };
      if (isLasting) this.#lasting.push({ did, uri: own.uri, root: lasting.root });
    } else if (isLasting) this.#lasting.push({ did, uri: own.uri, root: own.uri });
    else if (random.below(5) < 3) {
      // Few roots, so that threads grow; a parent may be anything, even the reply itself.
      const root = {
        cid: 'c',
        uri: `at://${this.#dids[random.below(2)]}/app.bsky.feed.post/${tidOf(1000 + random.below(2))}`,
      };
      const parent = random.below(4) === 0 ? root : this.#ref('app.bsky.feed.post');
      post['reply'] = pick(random, [
        { root, parent },
        { root, parent },
        { root, parent },
        { root, parent: own },
        { root: own, parent: own },
      ]);
    }
    if (random.below(4) === 0) {
      const features = [
        { $type: 'app.bsky.richtext.facet#mention', did: this.#did() },
        { $type: 'app.bsky.richtext.facet#tag', tag: 't' },
      ];
      post['facets'] = [{ features }, { features: [{ $type: 'app.bsky.richtext.facet#mention', did: this.#did() }] }];
    }
    if (random.below(3) === 0) post['embed'] = this.#embed();
    return post;
  }

  #embed(): Json {
    const images = { $type: 'app.bsky.embed.images', images: [image] };
    const video = { $type: 'app.bsky.embed.video', video: {} };
    const record = { $type: 'app.bsky.embed.record', record: this.#ref() };
    return pick<Json>(this.#random, [
      images,
      video,
      record,
      record,
      { $type: 'app.bsky.embed.images', images: [] },
      { $type: 'app.bsky.embed.recordWithMedia', record, media: images },
    ]);
  }
}
