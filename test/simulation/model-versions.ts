/** What each record of the model was, and when. */
import type { ModelRecord } from './model.ts';

/** A record from a time on, until the next version; null while there is none. */
export type ModelVersion = { readonly fromMs: number; readonly record: ModelRecord | null };

export class ModelVersions {
  readonly #byUri = new Map<string, ModelVersion[]>();
  /** By collection and subject: records of which some version names the subject, or did. */
  readonly #urisBySubject = new Map<string, Set<string>>();

  /** Adds a version, which takes the place of later ones. */
  add(uri: string, fromMs: number, record: ModelRecord | null): void {
    const versions = this.#byUri.get(uri) ?? [];
    this.#byUri.set(uri, versions);
    while (versions.length > 0 && versions.at(-1)!.fromMs >= fromMs) versions.pop();
    versions.push({ fromMs, record });
    const subject = record?.value['subject'];
    if (record === null || typeof subject !== 'string') return;
    const name = `${record.collection} ${subject}`;
    this.#urisBySubject.set(name, (this.#urisBySubject.get(name) ?? new Set()).add(uri));
  }

  at(uri: string, timeMs: number): ModelRecord | null {
    return this.#byUri.get(uri)?.findLast(({ fromMs }) => fromMs <= timeMs)?.record ?? null;
  }

  /** Returns all versions of each record of which some version names a subject. */
  about(collection: string, subject: string): (readonly [uri: string, versions: readonly ModelVersion[]])[] {
    const uris = this.#urisBySubject.get(`${collection} ${subject}`) ?? [];
    return [...uris].map((uri) => [uri, this.#byUri.get(uri)!] as const);
  }
}
