/** What labelers and operators say, as the model keeps it: labels, tags, suggestions, age. */
import { type Label, type LabelId, labelUri } from '../../src/atproto/label.ts';
import type { AgeAssuranceChange, PrivateWrite } from '../../src/entry/entry.ts';

type SuggestionWrite = Extract<PrivateWrite, { readonly type: 'suggestions' }>;
type Suggestion = { readonly tag: string; readonly subject: string; readonly subjectType: string; order: number };
type Age = Readonly<Record<'status' | 'access' | 'countryCode' | 'regionCode', string>> & {
  readonly lastInitiatedMs: number | null;
};
type PutFact = (key: string, value: unknown) => void;

/** Names a label, as facts do. */
export function labelFact({ src, val, cid }: Pick<LabelId, 'src' | 'val' | 'cid'>, uri: string): string {
  return `label ${uri} ${src} ${val} ${cid || '-'}`;
}

export class ModelOperators {
  readonly #labels = new Map<string, Pick<Label, 'neg' | 'cts' | 'exp'>>();
  readonly #tags = new Map<string, readonly string[]>();
  readonly #ages = new Map<string, Age>();
  readonly #priorities = new Map<string, boolean>();
  readonly #lists = new Map<string, Suggestion[]>();

  /** The later one counts; of two with one time, the one that comes last. */
  putLabel(label: Label): void {
    const key = labelFact(label, labelUri(label.subject));
    const before = this.#labels.get(key);
    if (before !== undefined && Date.parse(before.cts) > Date.parse(label.cts)) return;
    const { neg, cts, exp } = label;
    this.#labels.set(key, { neg, cts, exp });
  }

  removeLabel(id: LabelId): void {
    this.#labels.delete(labelFact(id, labelUri(id.subject)));
  }

  putTags(did: string, tags: readonly string[]): void {
    if (tags.length === 0) this.#tags.delete(did);
    else this.#tags.set(did, tags);
  }

  putPriority(did: string, isPriority: boolean): void {
    this.#priorities.set(did, isPriority);
  }

  /** What is not said stays as it was. */
  changeAge(did: string, change: AgeAssuranceChange | null): void {
    if (change === null) return void this.#ages.delete(did);
    const before = this.#ages.get(did);
    this.#ages.set(did, {
      status: change.status,
      access: change.access ?? before?.access ?? '',
      countryCode: change.countryCode ?? before?.countryCode ?? '',
      regionCode: change.regionCode ?? before?.regionCode ?? '',
      lastInitiatedMs: change.lastInitiatedMs ?? before?.lastInitiatedMs ?? null,
    });
  }

  suggest({ list, changes }: SuggestionWrite): void {
    const rows = this.#lists.get(list) ?? [];
    this.#lists.set(list, rows);
    for (const { tag, subject, subjectType, order } of changes) {
      const index = rows.findIndex((row) => row.tag === tag && row.subject === subject);
      const [before] = index < 0 ? [] : rows.splice(index, 1);
      if (order === 'gone') continue;
      const last = Math.max(0, ...rows.map((row) => row.order)) + 1;
      rows.push({ tag, subject, subjectType, order: order === 'last' ? (before?.order ?? last) : order });
    }
  }

  /** Labels and what an actor prefers outlive its account. */
  removeAccount(did: string): void {
    this.#tags.delete(did);
    this.#ages.delete(did);
  }

  writeFacts(put: PutFact): void {
    for (const [key, label] of this.#labels) put(key, label);
    for (const [did, tags] of this.#tags) put(`tags ${did}`, tags);
    for (const [did, age] of this.#ages) put(`age ${did}`, age);
    for (const [did, isPriority] of this.#priorities) if (isPriority) put(`priority ${did}`, true);
    for (const [list, rows] of this.#lists) {
      for (const { tag, subject, subjectType, order } of rows)
        put(`suggestion ${list} ${tag} ${subject}`, { order, subjectType });
    }
  }
}
