/**
 * Reads what people type into a search box.
 *
 * Owns: the operators, `"phrases"`, `-word`, `from:` and `author:`, `to:`, `mentions:` and
 * `@handle`, `#tag`, `domain:`, `lang:`, `since:`, `until:`, a bare URL, a bare DID. Whatever is no
 * operator is a word. Refuses texts and queries past their limits; any other text is a query.
 */
import { isValidDid, isValidHandle } from '@atproto/syntax';
import { DataPlaneError } from '../../base/data-plane-error.ts';
import { type SearchTerm, type SearchTermKind, searchLimits } from '../../wire/search-messages.ts';

/** Longer texts are refused. Units: UTF-16 units. */
export const searchTextLengthMax = 2_048;

/**
 * What a text asks for. Authors and mentions are DIDs, handles in lower case, or `me`. Times are
 * null where the text says nothing.
 */
export type SearchText = {
  /** A post has a term of each; alternatives are of one kind. */
  readonly all: SearchTerm[][];
  readonly none: SearchTerm[];
  readonly sinceMs: number | null;
  readonly untilMs: number | null;
};

/** `isAny`: several are alternatives, since a post has one author; else it must have them all. */
type Operator = { readonly kind: SearchTermKind; readonly isAny: boolean; readonly read: (value: string) => string };

function readActor(value: string): string {
  const name = value.startsWith('@') ? value.slice(1) : value;
  if (isValidDid(name)) return name;
  const handle = name.toLowerCase();
  return handle === 'me' || isValidHandle(handle) ? handle : '';
}

const hostPattern = /^[\p{L}\p{N}-]{1,63}(?:\.[\p{L}\p{N}-]{1,63})+$/u;

function readDomain(value: string): string {
  const host = value
    .toLowerCase()
    .replace(/^https?:\/\//, '')
    .replace(/\/.*$/, '');
  return hostPattern.test(host) ? host : '';
}

function readUrl(value: string): string {
  return /^https?:\/\/\S+$/i.test(value) && URL.canParse(value) ? value : '';
}

function readLanguage(value: string): string {
  return /^[a-z]{2,3}(?:-[a-z0-9]{1,8})*$/i.test(value) ? value.toLowerCase() : '';
}

function readTag(value: string): string {
  return value.replace(/^#/, '');
}

const author: Operator = { kind: 'author', isAny: true, read: readActor };
const mention: Operator = { kind: 'mention', isAny: false, read: readActor };
const domain: Operator = { kind: 'domain', isAny: true, read: readDomain };
const url: Operator = { kind: 'url', isAny: true, read: readUrl };
const tag: Operator = { kind: 'tag', isAny: false, read: readTag };
const language: Operator = { kind: 'language', isAny: true, read: readLanguage };

const operators: ReadonlyMap<string, Operator> = new Map([
  ['from', author],
  ['author', author],
  ['to', mention],
  ['mentions', mention],
  ['domain', domain],
  ['url', url],
  ['tag', tag],
  ['lang', language],
  ['language', language],
]);

/** Groups: a minus; an operator's name; then a phrase, perhaps without its end, or anything. */
const partPattern = /(-?)(?:([a-z]{2,8}):)?(?:["“”„«»]([^"“”„«»]*)["“”„«»]?|([^\s"“”„«»]+))/giu;

/** A day or a moment, as people write it. Returns ms since 1970, or undefined. */
export function readSearchTime(value: string): number | undefined {
  if (!/^\d{4}-\d{2}-\d{2}(?:T[\d:.]+(?:Z|[+-]\d{2}:?\d{2})?)?$/i.test(value)) return undefined;
  const withZone = /T/i.test(value) && !/(?:Z|[+-]\d{2}:?\d{2})$/i.test(value) ? `${value}Z` : value;
  const timeMs = Date.parse(withZone);
  return Number.isNaN(timeMs) ? undefined : timeMs;
}

class SearchTextReader implements SearchText {
  readonly all: SearchTerm[][] = [];
  readonly none: SearchTerm[] = [];
  sinceMs: number | null = null;
  untilMs: number | null = null;
  readonly #anyByKind = new Map<SearchTermKind, SearchTerm[]>();

  #add({ kind, isAny }: Pick<Operator, 'kind' | 'isAny'>, value: string, isNot: boolean): void {
    const term = { kind, value };
    const any = isAny ? this.#anyByKind.get(kind) : undefined;
    if (isNot) this.none.push(term);
    else if (any !== undefined) any.push(term);
    else {
      const clause = [term];
      this.all.push(clause);
      if (isAny) this.#anyByKind.set(kind, clause);
    }
    const { clausesMax, valuesMax } = searchLimits;
    if (this.all.length > clausesMax || this.none.length > clausesMax || (any?.length ?? 0) > valuesMax)
      throw new DataPlaneError('InvalidArgument', `a query has at most ${clausesMax} words and ${valuesMax} values`);
  }

  /** Takes an operator and its value. Returns false if it is none, so that it is a word. */
  #takeOperator(name: string, value: string, isNot: boolean): boolean {
    if ((name === 'since' || name === 'until') && !isNot) {
      const timeMs = readSearchTime(value);
      if (timeMs === undefined) return false;
      if (name === 'since') this.sinceMs = Math.max(this.sinceMs ?? timeMs, timeMs);
      else this.untilMs = Math.min(this.untilMs ?? timeMs, timeMs);
      return true;
    }
    const operator = operators.get(name);
    const read = operator?.read(value) ?? '';
    if (operator === undefined || read === '') return false;
    this.#add(operator, read, isNot);
    return true;
  }

  #takeBare(text: string, isNot: boolean): void {
    const actor = text.startsWith('@') ? readActor(text) : '';
    if (actor !== '' && actor !== 'me') return this.#add(mention, actor, isNot);
    if (/^#[^#]/u.test(text)) return this.#add(tag, text.slice(1), isNot);
    if (isValidDid(text)) return this.#add(author, text, isNot);
    if (readUrl(text) !== '') return this.#add(url, text, isNot);
    this.#add({ kind: 'text', isAny: false }, text, isNot);
  }

  /** Takes one part, as `partPattern` finds it. */
  take(minus: string, name: string | undefined, phrase: string | undefined, rest: string | undefined): void {
    const isNot = minus === '-';
    if (name !== undefined && this.#takeOperator(name.toLowerCase(), phrase ?? rest ?? '', isNot)) return;
    const value = phrase ?? rest ?? '';
    const text = name === undefined ? value : `${name}:${value}`;
    if (phrase !== undefined) {
      if (phrase.trim() !== '') this.#add({ kind: 'text', isAny: false }, text, isNot);
    } else this.#takeBare(text, isNot);
  }
}

/** Errors: DataPlaneError `InvalidArgument` for a text that is too long, naming `path`. */
export function requireSearchText(text: string, path: string): void {
  if (text.length > searchTextLengthMax)
    throw new DataPlaneError('InvalidArgument', `${path}: longer than ${searchTextLengthMax} characters`);
}

/** Reads a text. Errors: DataPlaneError `InvalidArgument` past a limit, naming `path`. */
export function readSearchText(text: string, path: string): SearchText {
  requireSearchText(text, path);
  const reader = new SearchTextReader();
  // Controls part words, and no term holds any.
  for (const [, minus, name, phrase, rest] of text.replace(/\p{Cc}/gu, ' ').matchAll(partPattern))
    reader.take(minus!, name, phrase, rest);
  const { all, none, sinceMs, untilMs } = reader;
  return { all, none, sinceMs, untilMs };
}
