/**
 * Turns a query into an expression of FTS5.
 *
 * Owns: that nothing a person writes is read as FTS5's own syntax (every term is a quoted string of
 * letters and digits), and how many terms a query may have.
 */
import { DataPlaneError } from '../base/data-plane-error.ts';
import type { PostQuery, SearchTerm } from '../wire/search-messages.ts';
import { authorTerm, filterTerm, traitTerm } from './filter-terms.ts';
import { termsOf } from './tokenise.ts';

/** Each costs a look into every segment of the index. */
export const queryTermsMax = 128;

/** Where an author is in this node's index, or undefined if it is another node's. */
export type OwnerOf = (did: string) => { readonly key: number; readonly owner: number } | undefined;

/** `terms`: how many a walk compares. */
export type MatchExpression = { readonly match: string; readonly terms: number };

export type PostExpression = {
  /** Clauses that are joined by AND. */
  readonly wanted: string;
  /** Alternatives that a post has none of, or ''. */
  readonly excluded: string;
  /** What must be there for the phrases to be: all their words. Null without phrases. */
  readonly words: string | null;
  readonly terms: number;
  /** True if every post that has one of the terms is found. */
  readonly isPlain: boolean;
};

/** Returns the expression within a window, which is a term; null for all posts. */
export function withinWindow(
  { wanted, excluded }: Pick<PostExpression, 'wanted' | 'excluded'>,
  window: string | null,
): string {
  const all = window === null ? wanted : `"${window}" AND ${wanted}`;
  return excluded === '' ? all : `(${all}) NOT ${excluded}`;
}

class ExpressionWriter {
  readonly #ownerOf: OwnerOf;
  terms = 0;

  constructor(ownerOf: OwnerOf) {
    this.#ownerOf = ownerOf;
  }

  /** Returns one term quoted; '' for a text without any, undefined for what no post here has. */
  #quoted(term: SearchTerm): string | undefined {
    if (term.kind === 'text') {
      const words = termsOf(term.value);
      this.#add(words.length);
      return words.length === 0 ? '' : `"${words.join(' ')}"`;
    }
    const author = term.kind === 'author' ? this.#ownerOf(term.value) : undefined;
    const spelt = term.kind === 'author' ? author && authorTerm(author.key, author.owner) : filterTerm(term);
    this.#add(1);
    return spelt === undefined ? undefined : `"${spelt}"`;
  }

  #add(terms: number): void {
    this.terms += terms;
    if (this.terms > queryTermsMax)
      throw new DataPlaneError('InvalidArgument', `a query has at most ${queryTermsMax} terms`);
  }

  /** Returns alternatives; '' for none that says anything, undefined if no post here has one. */
  clause(terms: readonly SearchTerm[]): string | undefined {
    const quoted = terms.map((term) => this.#quoted(term));
    const known = quoted.filter((term) => term !== undefined && term !== '');
    if (known.length === 0) return quoted.includes('') || terms.length === 0 ? '' : undefined;
    return known.length === 1 ? known[0] : `(${known.join(' OR ')})`;
  }
}

const anyPost = `("${traitTerm('original')}" OR "${traitTerm('reply')}")`;

/**
 * Returns the expression; null if no post of this node can match.
 *
 * Errors: DataPlaneError `InvalidArgument` past `queryTermsMax`.
 */
export function postExpression(
  { all, none }: Pick<PostQuery, 'all' | 'none'>,
  ownerOf: OwnerOf,
): PostExpression | null {
  const writer = new ExpressionWriter(ownerOf);
  const clauses: string[] = [];
  const words: string[] = [];
  let hasPhrase = false;
  for (const terms of all) {
    const clause = writer.clause(terms);
    if (clause === undefined) return null;
    if (clause === '') continue;
    clauses.push(clause);
    const isPhrase = clause.includes(' ') && terms.some(({ kind }) => kind === 'text');
    hasPhrase ||= isPhrase;
    if (!isPhrase) words.push(clause);
    else if (terms.length === 1) words.push(...termsOf(terms[0]!.value).map((word) => `"${word}"`));
  }
  const excluded = writer.clause(none) ?? '';
  // Words without a letter ask for nothing, and nothing is what they find.
  if (clauses.length === 0 && all.length > 0) return null;
  if (clauses.length === 0) clauses.push(anyPost);
  return {
    wanted: clauses.join(' AND '),
    excluded,
    words: hasPhrase && words.length > 0 ? words.join(' AND ') : null,
    terms: writer.terms,
    isPlain: clauses.length === 1 && !hasPhrase && excluded === '',
  };
}

/** Returns the expression for names or what people say of themselves; null for no words. */
export function namedExpression(text: string, isLastBegun: boolean): MatchExpression | null {
  const terms = termsOf(text);
  if (terms.length > queryTermsMax)
    throw new DataPlaneError('InvalidArgument', `a query has at most ${queryTermsMax} terms`);
  if (terms.length === 0) return null;
  const quoted = terms.map((term, index) => `"${term}"${isLastBegun && index === terms.length - 1 ? ' *' : ''}`);
  return { match: quoted.join(' AND '), terms: terms.length };
}
