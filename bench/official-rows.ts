/**
 * The rows of the official plane's tables after it has indexed a network, as SQL for a bulk load.
 *
 * Its own indexing takes two milliseconds per record; this writes the same rows directly. The bench
 * compares the answers of both planes before it measures, which shows that the rows are the same.
 */
import { closeSync, openSync, writeSync } from 'node:fs';
import { Cid } from '../src/atproto/cid.ts';
import { type Label, labelUri } from '../src/atproto/label.ts';
import { jsonOfOp } from '../test/support/record-op.ts';
import { type ServingEntry, uriOfOp } from './serving-network.ts';

type Ref = { readonly uri: string; readonly cid: string };
type Blob = { readonly ref: { readonly $link: string } };
type Embed = {
  readonly $type: string;
  readonly images?: readonly { readonly alt: string; readonly image: Blob }[];
  readonly external?: { readonly uri: string; readonly title: string; readonly description: string };
  readonly video?: Blob;
  readonly record?: Ref & { readonly record?: Ref };
  readonly media?: Embed;
};
type Facet = { readonly features: readonly { readonly $type: string; readonly did?: string }[] };
type RecordValue = {
  readonly createdAt: string;
  readonly text?: string;
  readonly langs?: readonly string[];
  readonly reply?: { readonly root: Ref; readonly parent: Ref };
  readonly embed?: Embed;
  readonly facets?: readonly Facet[];
  readonly subject?: string | Ref;
  readonly via?: Ref;
  readonly displayName?: string;
  readonly description?: string;
  readonly avatar?: Blob;
  readonly banner?: Blob;
  readonly name?: string;
  readonly purpose?: string;
  readonly list?: string;
};

type Indexed = {
  readonly uri: string;
  readonly did: string;
  readonly collection: string;
  readonly cid: string;
  readonly value: RecordValue;
  readonly at: string;
};
type Cell = string | number | null;

/** Ancestors of a reply whose authors are notified. */
const notifiedAncestorsMax = 4;

const columnsByTable = {
  record: 'uri cid did json indexedAt',
  actor: 'did handle indexedAt',
  actor_sync: 'did commitCid repoRev',
  profile: 'uri cid creator displayName description avatarCid bannerCid indexedAt createdAt',
  profile_agg: 'did followersCount followsCount postsCount',
  post: 'uri cid creator text replyRoot replyRootCid replyParent replyParentCid createdAt indexedAt langs',
  post_agg: 'uri likeCount replyCount repostCount quoteCount',
  feed_item: 'uri cid type postUri originatorDid sortAt',
  like: 'uri cid creator subject subjectCid createdAt indexedAt via viaCid',
  repost: 'uri cid creator subject subjectCid createdAt indexedAt via viaCid',
  follow: 'uri cid creator subjectDid createdAt indexedAt',
  actor_block: 'uri cid creator subjectDid createdAt indexedAt',
  notification: 'did recordUri recordCid author reason reasonSubject sortAt',
  quote: 'uri cid subject subjectCid createdAt indexedAt',
  op_thread_reply: 'rootUri parentUri uri',
  post_embed_image: 'postUri position imageCid alt',
  post_embed_external: 'postUri uri title description',
  post_embed_record: 'postUri embedUri embedCid',
  post_embed_video: 'postUri videoCid',
  list: 'uri cid creator name purpose createdAt indexedAt',
  list_item: 'uri cid creator subjectDid listUri createdAt indexedAt',
  list_block: 'uri cid creator subjectUri createdAt indexedAt',
  label: 'src uri cid val neg cts exp',
} as const;
type TableName = keyof typeof columnsByTable;

const escapes: Readonly<Record<string, string>> = { '\\': '\\\\', '\n': '\\n', '\r': '\\r', '\t': '\\t' };

function cellText(cell: Cell): string {
  return cell === null ? '\\N' : String(cell).replace(/[\\\n\r\t]/g, (character) => escapes[character]!);
}

function didOf(uri: string): string {
  return uri.slice(5, uri.indexOf('/', 5));
}

function linkOf(blob: Blob | undefined): string | null {
  return blob?.ref.$link ?? null;
}

class Counts {
  readonly #byKey = new Map<string, number[]>();

  add(key: string, kind: number, kinds: number): void {
    const counts = this.#byKey.get(key) ?? new Array<number>(kinds).fill(0);
    counts[kind]!++;
    this.#byKey.set(key, counts);
  }

  *rows(): Generator<Cell[]> {
    for (const [key, counts] of this.#byKey) yield [key, ...counts];
  }
}

/** Turns a network's entries, in order, into the SQL that fills the tables. */
export class OfficialRows {
  readonly #rows = new Map<TableName, string[]>();
  readonly #postCounts = new Counts();
  readonly #actorCounts = new Counts();
  readonly #parentOf = new Map<string, string>();
  readonly #revs = new Map<string, { readonly rev: string; readonly cid: string }>();

  add(entry: ServingEntry): void {
    if (entry.kind === 'label') return this.#label(entry.label);
    const at = new Date(entry.eventMs).toISOString();
    if (entry.kind === 'identity') {
      this.#row('actor', [entry.did, entry.handle, at]);
      return;
    }
    for (const op of entry.ops) {
      const uri = uriOfOp(entry.did, op);
      const [cid, json] = [new Cid(op.cid).text, jsonOfOp(op)];
      this.#revs.set(entry.did, { rev: entry.rev, cid });
      this.#row('record', [uri, cid, entry.did, json, at]);
      const { collection } = op;
      this.#record({ uri, did: entry.did, collection, cid, value: JSON.parse(json) as RecordValue, at });
    }
  }

  #row(table: TableName, cells: readonly Cell[]): void {
    const rows = this.#rows.get(table) ?? [];
    rows.push(cells.map(cellText).join('\t'));
    this.#rows.set(table, rows);
  }

  #record(record: Indexed): void {
    switch (record.collection) {
      case 'app.bsky.actor.profile':
        return this.#profile(record);
      case 'app.bsky.feed.post':
        return this.#post(record);
      case 'app.bsky.feed.like':
        return this.#engagement('like', record);
      case 'app.bsky.feed.repost':
        return this.#engagement('repost', record);
      case 'app.bsky.graph.follow':
        return this.#follow(record);
      case 'app.bsky.graph.block':
        return this.#row('actor_block', this.#edge(record));
      case 'app.bsky.graph.list':
        return this.#list(record);
      case 'app.bsky.graph.listitem':
        return this.#listItem(record);
      case 'app.bsky.graph.listblock':
        return this.#row('list_block', this.#edge(record));
      default:
        throw new Error(`${record.collection} is not of this network`);
    }
  }

  #profile({ uri, did, cid, value, at }: Indexed): void {
    const texts = [value.displayName ?? null, value.description ?? null];
    this.#row('profile', [uri, cid, did, ...texts, linkOf(value.avatar), linkOf(value.banner), at, value.createdAt]);
  }

  #label({ subject, src, cid, val, neg, cts, exp }: Label): void {
    this.#row('label', [src, labelUri(subject), cid, val, neg ? 't' : 'f', cts, exp]);
  }

  #list({ uri, did, cid, value, at }: Indexed): void {
    this.#row('list', [uri, cid, did, value.name ?? '', value.purpose ?? '', value.createdAt, at]);
  }

  #listItem({ uri, did, cid, value, at }: Indexed): void {
    this.#row('list_item', [uri, cid, did, value.subject as string, value.list ?? '', value.createdAt, at]);
  }

  #edge({ uri, did, cid, value, at }: Indexed): Cell[] {
    return [uri, cid, did, value.subject as string, value.createdAt, at];
  }

  #sortAt({ value, at }: Indexed): string {
    return value.createdAt < at ? value.createdAt : at;
  }

  #notice(record: Indexed, did: string, reason: string, subject: string | null): void {
    this.#row('notification', [did, record.uri, record.cid, record.did, reason, subject, this.#sortAt(record)]);
  }

  #follow(record: Indexed): void {
    const subject = record.value.subject as string;
    this.#row('follow', this.#edge(record));
    this.#actorCounts.add(subject, 0, 3);
    this.#actorCounts.add(record.did, 1, 3);
    this.#notice(record, subject, 'follow', null);
  }

  #engagement(kind: 'like' | 'repost', record: Indexed): void {
    const { uri, did, cid, value, at } = record;
    const subject = value.subject as Ref;
    const via = [value.via?.uri ?? null, value.via?.cid ?? null];
    this.#row(kind, [uri, cid, did, subject.uri, subject.cid, value.createdAt, at, ...via]);
    this.#postCounts.add(subject.uri, kind === 'like' ? 0 : 2, 4);
    if (kind === 'repost') this.#row('feed_item', [uri, cid, 'repost', subject.uri, did, this.#sortAt(record)]);
    if (didOf(subject.uri) === did) return;
    this.#notice(record, didOf(subject.uri), kind, subject.uri);
    if (value.via !== undefined && didOf(value.via.uri) !== did)
      this.#notice(record, didOf(value.via.uri), `${kind}-via-repost`, value.via.uri);
  }

  #post(record: Indexed): void {
    const { uri, did, cid, value, at } = record;
    const { root, parent } = value.reply ?? {};
    const refs = [root?.uri ?? null, root?.cid ?? null, parent?.uri ?? null, parent?.cid ?? null];
    const langs = value.langs === undefined || value.langs.length === 0 ? null : JSON.stringify(value.langs);
    this.#row('post', [uri, cid, did, value.text ?? '', ...refs, value.createdAt, at, langs]);
    this.#row('feed_item', [uri, cid, 'post', uri, did, this.#sortAt(record)]);
    this.#actorCounts.add(did, 2, 3);
    if (root !== undefined && parent !== undefined) {
      this.#parentOf.set(uri, parent.uri);
      this.#postCounts.add(parent.uri, 1, 4);
      if (didOf(root.uri) === did) this.#row('op_thread_reply', [root.uri, parent.uri, uri]);
    }
    const quoted = this.#embed(record, value.embed);
    this.#postNotices(record, quoted);
  }

  /** Returns the URI of the quoted post. */
  #embed(record: Indexed, embed: Embed | undefined): string | null {
    if (embed === undefined) return null;
    const { uri, cid, value, at } = record;
    if (embed.media !== undefined) this.#embed(record, embed.media);
    for (const [index, { alt, image }] of (embed.images ?? []).entries())
      this.#row('post_embed_image', [uri, index, linkOf(image), alt]);
    if (embed.video !== undefined) this.#row('post_embed_video', [uri, linkOf(embed.video)]);
    if (embed.external !== undefined) {
      const { uri: link, title, description } = embed.external;
      this.#row('post_embed_external', [uri, link, title, description]);
    }
    const quoted = embed.record?.record ?? embed.record;
    if (quoted === undefined) return null;
    this.#row('post_embed_record', [uri, quoted.uri, quoted.cid]);
    this.#row('quote', [uri, cid, quoted.uri, quoted.cid, value.createdAt, at]);
    this.#postCounts.add(quoted.uri, 3, 4);
    return quoted.uri;
  }

  /** Notifies each DID once: the mentioned, the quoted author, the authors above. */
  #postNotices(record: Indexed, quoted: string | null): void {
    const notified = new Set([record.did]);
    const notify = (did: string, reason: string, subject: string | null): void => {
      if (notified.has(did)) return;
      notified.add(did);
      this.#notice(record, did, reason, subject);
    };
    for (const { features } of record.value.facets ?? [])
      for (const { did } of features) if (did !== undefined) notify(did, 'mention', null);
    if (quoted !== null) notify(didOf(quoted), 'quote', quoted);
    let ancestor = this.#parentOf.get(record.uri);
    for (let height = 1; height <= notifiedAncestorsMax && ancestor !== undefined; height++) {
      notify(didOf(ancestor), 'reply', ancestor);
      ancestor = this.#parentOf.get(ancestor);
    }
  }

  /** Writes the rows of all tables, or of those that are named. */
  write(path: string, schema: string, only?: ReadonlySet<string>): void {
    for (const row of this.#postCounts.rows()) this.#row('post_agg', row);
    for (const row of this.#actorCounts.rows()) this.#row('profile_agg', row);
    for (const [did, { rev, cid }] of this.#revs) this.#row('actor_sync', [did, cid, rev]);
    const file = openSync(path, 'w');
    for (const [table, rows] of this.#rows) {
      if (only !== undefined && !only.has(table)) continue;
      const columns = columnsByTable[table].split(' ').map((column) => `"${column}"`);
      writeSync(file, `COPY "${schema}"."${table}" (${columns.join(', ')}) FROM STDIN;\n`);
      for (let start = 0; start < rows.length; start += 10_000)
        writeSync(file, `${rows.slice(start, start + 10_000).join('\n')}\n`);
      writeSync(file, '\\.\n');
    }
    writeSync(file, 'VACUUM ANALYZE;\n');
    closeSync(file);
  }
}
