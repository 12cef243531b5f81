/** What operators write: our HTTP endpoints, and the tables of the official plane. */
import { sql } from 'kysely';
import { OfficialPlane } from './official-plane.ts';
import type { Plane } from './plane.ts';

const deadlineMs = 10_000;

/** A label as labelers sign it. */
export interface LabelWrite {
  readonly src: string;
  readonly uri: string;
  readonly cid?: string;
  readonly val: string;
  readonly neg?: boolean;
  readonly cts: string;
  readonly exp?: string;
}

/** What an operator says of an actor's age. */
export interface AgeWrite {
  readonly status: string;
  readonly access?: string;
  readonly lastInitiatedAt?: string;
}

/** The operator of a plane. Errors: `NotServed` where a plane has no such endpoint. */
export interface Operator {
  label(label: LabelWrite): Promise<void>;
  trustVerifier(did: string, isTrusted: boolean): Promise<void>;
  tagRecord(uri: string, tags: readonly string[]): Promise<void>;
  /** Sets what is given, and leaves the rest. */
  setAge(did: string, age: AgeWrite): Promise<void>;
  clearAge(did: string): Promise<void>;
  /** Suggests these actors or feeds to everyone, in this order, besides what is suggested. */
  suggest(list: 'follows' | 'feeds', subjects: readonly string[]): Promise<void>;
  suggestTagged(tag: string, subject: string, subjectType: 'actor' | 'feed'): Promise<void>;
  unsuggest(list: 'follows' | 'feeds', subject: string): Promise<void>;
  unsuggestTagged(tag: string, subject: string): Promise<void>;
}

/** Thrown where a plane has no such endpoint. */
export class NotServed extends Error {}

/** Makes the operator of a plane. */
export function operatorOf(plane: Plane): Operator {
  return plane instanceof OfficialPlane ? new OfficialOperator(plane) : new SkyshardOperator(plane.url('1.1'));
}

/** Operates the official plane by its tables, as its own tools do. */
export class OfficialOperator implements Operator {
  readonly #db: OfficialPlane['db'];

  constructor({ db }: OfficialPlane) {
    this.#db = db;
  }

  async label({ src, uri, cid = '', val, neg = false, cts, exp }: LabelWrite): Promise<void> {
    const row = { src, uri, cid, val, neg, cts, exp: exp ?? null };
    const { src: _src, uri: _uri, cid: _cid, val: _val, ...changed } = row;
    await this.#db.db
      .insertInto('label')
      .values(row)
      .onConflict((conflict) => conflict.columns(['src', 'uri', 'cid', 'val']).doUpdateSet(changed))
      .execute();
  }

  async trustVerifier(did: string, isTrusted: boolean): Promise<void> {
    await this.#db.db.updateTable('actor').set({ trustedVerifier: isTrusted }).where('did', '=', did).execute();
  }

  async tagRecord(uri: string, tags: readonly string[]): Promise<void> {
    await sql`update record set tags = ${JSON.stringify(tags)}::jsonb where uri = ${uri}`.execute(this.#db.db);
  }

  async setAge(did: string, { status, access, lastInitiatedAt }: AgeWrite): Promise<void> {
    const change = {
      ageAssuranceStatus: status,
      ...(access === undefined ? {} : { ageAssuranceAccess: access }),
      ...(lastInitiatedAt === undefined ? {} : { ageAssuranceLastInitiatedAt: lastInitiatedAt }),
    };
    await this.#db.db.updateTable('actor').set(change).where('did', '=', did).execute();
  }

  async clearAge(did: string): Promise<void> {
    const cleared = { ageAssuranceStatus: null, ageAssuranceAccess: null, ageAssuranceLastInitiatedAt: null };
    await this.#db.db.updateTable('actor').set(cleared).where('did', '=', did).execute();
  }

  async suggest(list: 'follows' | 'feeds', subjects: readonly string[]): Promise<void> {
    const [table, column] = list === 'follows' ? ['suggested_follow', 'did'] : ['suggested_feed', 'uri'];
    const into = sql`insert into ${sql.table(table!)} (${sql.ref(column!)}, "order")`;
    const last = sql`select coalesce(max("order"), 0) from ${sql.table(table!)}`;
    for (const subject of subjects) await sql`${into} values (${subject}, (${last}) + 1)`.execute(this.#db.db);
  }

  async suggestTagged(tag: string, subject: string, subjectType: 'actor' | 'feed'): Promise<void> {
    await this.#db.db.insertInto('tagged_suggestion').values({ tag, subject, subjectType }).execute();
  }

  async unsuggest(list: 'follows' | 'feeds', subject: string): Promise<void> {
    if (list === 'follows') await this.#db.db.deleteFrom('suggested_follow').where('did', '=', subject).execute();
    else await this.#db.db.deleteFrom('suggested_feed').where('uri', '=', subject).execute();
  }

  async unsuggestTagged(tag: string, subject: string): Promise<void> {
    const tagged = this.#db.db.deleteFrom('tagged_suggestion').where('tag', '=', tag);
    await tagged.where('subject', '=', subject).execute();
  }
}

/** Operates skyshard by its router. */
export class SkyshardOperator implements Operator {
  readonly #url: string;

  constructor(url: string) {
    this.#url = url;
  }

  async label(label: LabelWrite): Promise<void> {
    await this.#post('/v1/labels', { labels: [label] });
  }

  async trustVerifier(did: string, isTrusted: boolean): Promise<void> {
    await this.#post('/v1/verifiers', { did, isTrusted });
  }

  async tagRecord(uri: string, tags: readonly string[]): Promise<void> {
    await this.#post('/v1/tags', { subject: uri, tags });
  }

  async setAge(did: string, age: AgeWrite): Promise<void> {
    await this.#post('/v1/age-assurance', { did, ...age });
  }

  async clearAge(did: string): Promise<void> {
    await this.#post('/v1/age-assurance/clear', { did });
  }

  async suggest(list: 'follows' | 'feeds', subjects: readonly string[]): Promise<void> {
    await this.#post('/v1/suggestions', { list, items: subjects.map((subject) => ({ subject })) });
  }

  async suggestTagged(tag: string, subject: string, subjectType: 'actor' | 'feed'): Promise<void> {
    await this.#post('/v1/suggestions', { list: 'tagged', items: [{ tag, subject, subjectType }] });
  }

  async unsuggest(list: 'follows' | 'feeds', subject: string): Promise<void> {
    await this.#post('/v1/suggestions/remove', { list, items: [{ subject }] });
  }

  async unsuggestTagged(tag: string, subject: string): Promise<void> {
    await this.#post('/v1/suggestions/remove', { list: 'tagged', items: [{ tag, subject }] });
  }

  async #post(path: string, body: object): Promise<void> {
    const answer = await fetch(`${this.#url}${path}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
      signal: AbortSignal.timeout(deadlineMs),
    });
    const text = await answer.text();
    if (answer.status === 404 && text.includes('no such endpoint')) throw new NotServed(path);
    if (!answer.ok) throw new Error(`${path} refused ${JSON.stringify(body)}: ${answer.status} ${text}`);
  }
}
