/** Search indexes over the slots of a ReadsNetwork, written and read in this thread. */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { type Clock, systemClock } from '../../src/base/clock.ts';
import { readSearchText } from '../../src/router/plan/search-text.ts';
import { IndexWriter } from '../../src/search/index-writer.ts';
import { IndexedSlot, type SlotPlace } from '../../src/search/indexed-slot.ts';
import { SearchReader } from '../../src/search/search-reader.ts';
import {
  type NamedQuery,
  type PostQuery,
  type SearchAnswer,
  type SearchPosition,
  searchAnswer,
  searchRequest,
} from '../../src/wire/search-messages.ts';
import { ReadsNetwork } from '../integration/reads-network.ts';
import { makeMemoryFolder } from './memory-folder.ts';
import { SlotCluster } from './slot-cluster.ts';

/** The clock of budgets, and the posts of a walk's first window. */
type Walking = { readonly clock: Clock; readonly rowsOfTerm: number };

/** The index of one node, over every so many slots. */
class NodeIndex {
  readonly #slots: ReadonlyMap<number, IndexedSlot>;
  readonly #open: () => SearchReader;
  readonly path: string;
  writer: IndexWriter;
  reader: SearchReader;
  damages = 0;

  constructor(path: string, places: readonly SlotPlace[], slots: number, { clock, rowsOfTerm }: Walking) {
    this.path = path;
    this.#slots = new Map(places.map((place) => [place.slot, new IndexedSlot(place)]));
    const onDamage = (): void => {
      this.damages++;
    };
    this.#open = () =>
      new SearchReader({ path, places, primaries: places.map(({ slot }) => slot), slots, clock, onDamage, rowsOfTerm });
    this.writer = IndexWriter.open(path, this.#slots);
    this.reader = this.#open();
  }

  async restart(): Promise<void> {
    this.writer.close();
    await this.reader.close();
    this.writer = IndexWriter.open(this.path, this.#slots);
    this.reader = this.#open();
  }

  settle(): void {
    while (this.writer.takeChanges() > 0 || this.writer.workOn());
    this.reader.reopen();
  }

  slot(index: number): IndexedSlot {
    return this.#slots.get(index)!;
  }

  async close(): Promise<void> {
    this.writer.close();
    await this.reader.close();
    for (const slot of this.#slots.values()) await slot.close();
  }
}

export class SearchHarness implements AsyncDisposable {
  readonly network: ReadsNetwork;
  readonly nodes: readonly NodeIndex[];
  readonly #folder: string;

  constructor(slots = 2, nodes = 1, walking: Walking = { clock: systemClock, rowsOfTerm: 3_000_000 }) {
    this.#folder = makeMemoryFolder('skyshard-search-');
    this.network = new ReadsNetwork({ slots, isSearched: true, path: this.#folder });
    const { cluster } = this.network;
    const places = cluster.slots.map(({ index: slot }) => ({
      slot,
      path: SlotCluster.pathOf(cluster.path, slot),
      mapBytes: 2 ** 30,
    }));
    // As a node's slots do when they open.
    for (const slot of cluster.slots) slot.run([], cluster.nowMs++);
    this.nodes = Array.from({ length: nodes }, (_unused, node) => {
      const own = places.filter(({ slot }) => slot % nodes === node);
      return new NodeIndex(join(this.#folder, `index-${node}.db`), own, slots, walking);
    });
  }

  /** The index of the first node, which is the only one unless there are to be more. */
  get writer(): IndexWriter {
    return this.nodes[0]!.writer;
  }

  get reader(): SearchReader {
    return this.nodes[0]!.reader;
  }

  /** Opens the files again, as another process does. */
  async restart(): Promise<void> {
    for (const node of this.nodes) await node.restart();
  }

  /** Applies all entries, and indexes all that they changed. */
  settle(): this {
    this.network.settle();
    for (const node of this.nodes) node.settle();
    return this;
  }

  /** Answers `slot.search` of a node. */
  answerOf(node: number): (payload: Uint8Array) => Uint8Array {
    return (payload) => searchAnswer.encode(this.nodes[node]!.reader.find(searchRequest.decode(payload)));
  }

  /** Answers a query of a text; DIDs stand for handles. */
  posts(text: string, more: Partial<PostQuery> = {}): SearchAnswer {
    const { all, none, sinceMs, untilMs } = readSearchText(text, 'q');
    return this.reader.find({
      kind: 'posts',
      sort: 'latest',
      all,
      none,
      sinceMs,
      untilMs: untilMs ?? this.network.cluster.nowMs,
      followed: null,
      after: null,
      limit: 25,
      ...more,
    });
  }

  named(kind: NamedQuery['kind'], text: string, more: Partial<NamedQuery> = {}): string[] {
    const query = { kind, text, isTypeahead: false, after: null, limit: 25, ...more };
    return this.reader.find(query).hits.map(({ key }) => key);
  }

  /** Follows pages to the end. Returns the keys of all hits. */
  all(ask: (after: SearchPosition | null) => SearchAnswer): string[] {
    const keys: string[] = [];
    let after: SearchPosition | null = null;
    for (let pages = 0; pages < 10_000; pages++) {
      const { hits, reached }: SearchAnswer = ask(after);
      keys.push(...hits.map(({ key }) => key));
      if (reached === null) return keys;
      after = reached;
    }
    throw new Error('the pages do not end');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const node of this.nodes) await node.close();
    await this.network[Symbol.asyncDispose]();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
