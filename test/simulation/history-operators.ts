/** What labelers and operators say in histories, of few subjects, so that they say it again. */
import { cidCodec } from '../../src/atproto/cid.ts';
import type { Label } from '../../src/atproto/label.ts';
import type { SeededRandom } from '../../src/base/seeded-random.ts';
import type { LabelEntry, LabelRemovalEntry, PrivateEntry, PrivateWrite } from '../../src/entry/entry.ts';
import { suggestionLists, suggestionsKey } from '../../src/entry/suggestion.ts';
import { recordOp } from '../support/record-op.ts';
import { pick, type RecordMaker, tidOf } from './history-record.ts';
import { parseUri } from './model-record.ts';

const cid = 'bafyreigq4zsipbk5w3uqkbmh2w2633c5tcwudqu5ae3yvwr2hkgw2bkgfe';
const labelers = ['did:plc:labelerlabelerlabelerlab', 'did:web:labeler.example'];
/** Records that an operator's hand writes later than all events, and that no gate judges. */
const putCollections = [
  'app.bsky.feed.like',
  'app.bsky.feed.repost',
  'app.bsky.graph.block',
  'app.bsky.feed.generator',
];

export class OperatorMaker {
  readonly #random: SeededRandom;
  readonly #records: RecordMaker;
  readonly #dids: readonly string[];

  constructor(random: SeededRandom, records: RecordMaker, dids: readonly string[]) {
    this.#random = random;
    this.#records = records;
    this.#dids = dids;
  }

  /** Draws what is said about an actor or a record of it, of one actor mostly. */
  entry(nowMs: number): LabelEntry | LabelRemovalEntry | PrivateEntry {
    const random = this.#random;
    const did = random.below(3) > 0 ? this.#dids[0]! : pick(random, this.#dids);
    if (random.below(5) > 1) return { kind: 'private', did, write: this.#write(did, nowMs) };
    if (random.below(5) === 0) return { kind: 'private', did: suggestionsKey, write: this.#suggestions() };
    const label = this.#label(did, nowMs);
    return random.below(8) === 0 ? { kind: 'label-removal', did, id: label } : { kind: 'label', did, label };
  }

  /** Times are few, so that a label comes older, newer, or as old as the one before. */
  #label(did: string, nowMs: number): Label {
    const random = this.#random;
    const record = { collection: 'app.bsky.feed.post', rkey: tidOf(1000) };
    const ctsMs = Math.floor(nowMs / 100_000) * 100_000 + 1_000 * random.below(3);
    const cts = new Date(ctsMs).toISOString();
    return {
      subject: { did, record: random.below(2) === 0 ? null : record },
      src: pick(random, labelers),
      cid: random.below(8) === 0 ? cid : '',
      val: pick(random, ['spam', 'spam', 'spam', '!hide']),
      neg: random.below(4) === 0,
      cts: random.below(4) === 0 ? cts.replace('.000Z', '+00:00') : cts,
      exp: pick(random, [null, null, '2024-06-01T00:00:00.000Z', '2031-06-01T00:00:00+02:00']),
    };
  }

  #write(did: string, nowMs: number): PrivateWrite {
    const random = this.#random;
    const tags = pick<readonly string[]>(random, [[], ['hide'], ['hide', 'rank:2']]);
    switch (random.below(8)) {
      case 0:
        return { type: 'actor-tags', tags };
      case 1:
      case 2: {
        const { collection, rkey } = this.#records.nextKey(did);
        return { type: 'record-tags', collection, rkey, tags };
      }
      case 3:
        return { type: 'notification-priority', isPriority: random.below(2) === 0 };
      case 4:
        return { type: 'age-assurance', change: this.#ageChange(nowMs) };
      case 5:
        return { type: 'reindex' };
      default:
        return this.#recordWrite(did, nowMs);
    }
  }

  #ageChange(nowMs: number): Extract<PrivateWrite, { type: 'age-assurance' }>['change'] {
    const random = this.#random;
    if (random.below(5) === 0) return null;
    return {
      status: pick(random, ['pending', 'assured', 'blocked']),
      access: pick(random, [null, 'safe', 'full']),
      countryCode: pick(random, [null, 'AT']),
      regionCode: pick(random, [null, '9']),
      lastInitiatedMs: random.below(3) === 0 ? nowMs : null,
    };
  }

  #recordWrite(did: string, nowMs: number): PrivateWrite {
    const random = this.#random;
    const collection = pick(random, putCollections);
    const rkey = tidOf(1000 + random.below(6));
    if (random.below(3) === 0) return { type: 'record-delete', collection, rkey };
    const record = this.#records.record(did, collection, rkey, nowMs);
    const op = recordOp({ collection, rkey }, record, 'create', cidCodec.dagCbor);
    return { type: 'record-put', collection, rkey, cid: op.cid, block: op.block };
  }

  #suggestions(): PrivateWrite {
    const random = this.#random;
    const list = pick(random, suggestionLists);
    const changes = Array.from({ length: 1 + random.below(3) }, () => {
      const did = pick(random, this.#dids);
      const tag = list === 'tagged' ? pick(random, ['art', 'news']) : '';
      const subject = list === 'feeds' ? `at://${did}/app.bsky.feed.generator/f` : did;
      const order = pick<number | 'last' | 'gone'>(random, ['last', 'last', 'gone', random.below(4)]);
      return { tag, subject, subjectType: list === 'tagged' ? pick(random, ['actor', 'odd']) : '', order };
    });
    return { type: 'suggestions', list, changes };
  }

  /** Mutes of threads by some actors: of their own, or of one in which many reply. */
  threadMutes(): PrivateEntry[] {
    const random = this.#random;
    return this.#dids.flatMap((did) =>
      Array.from({ length: random.below(5) }, (): PrivateEntry => {
        const lasting = this.#records.lastingRoots(did);
        const busy = `at://${this.#dids[random.below(2)]}/app.bsky.feed.post/${tidOf(1000 + random.below(2))}`;
        const root = parseUri(lasting.length > 0 ? pick(random, lasting) : busy)!;
        if (random.below(12) === 0) return { kind: 'private', did, write: { type: 'clear-thread-mutes' } };
        return { kind: 'private', did, write: { type: random.below(4) === 0 ? 'thread-unmute' : 'thread-mute', root } };
      }),
    );
  }
}
