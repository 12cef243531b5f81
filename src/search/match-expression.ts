/**
 * Turns a query into an expression of FTS5, and into what records are checked for.
 *
 * Owns: that nothing a person writes is read as FTS5's own syntax (every term is a quoted string of
 * letters and digits), how many terms a query may have, and which of them the index looks up: each
 * costs a look into every segment, however few posts it finds. What is beyond is looked for in the
 * records of the posts that the others find.
 */
import { DataPlaneError } from '../base/data-plane-error.ts';
import type { PostQuery, SearchTerm } from '../wire/search-messages.ts';
import { authorTerm, filterTerm, traitTerm } from './filter-terms.ts';
import { beginningLengths } from './index-file.ts';
import { termsOf } from './tokenise.ts';

export const queryTermsMax = 128;
/** Terms of a query that the index looks up; alternatives of one clause may be more. */
export const lookedUpTermsMax = 12;
/** Terms that posts must not have and that the index looks up. */
export const excludedTermsMax = 16;

/** Where an author is in this node's index, or undefined if it is another node's. */
export type OwnerOf = (did: string) => { readonly key: number; readonly owner: number } | undefined;

/** Terms of the index, one after the other. */
export type Phrase = readonly string[];
/** Alternatives. */
export type Clause = readonly Phrase[];

export type PostExpression = {
  /** What the index looks up; at least one. A post has all of them … */
  readonly clauses: readonly Clause[];
  /** … and none of these. */
  readonly excluded: Clause;
  /** Tells whether terms, with a space on each side, have all that the query asks for. */
  readonly isMatch: (text: string) => boolean;
  /** True if the index looks up all of it. */
  readonly isWhole: boolean;
  /** Terms that a statement looks up. */
  readonly terms: number;
  /** True if every post that has one of the terms is found. */
  readonly isPlain: boolean;
};

/** Returns how many terms clauses have. */
export function termCountIn(clauses: readonly Clause[]): number {
  return clauses.flat(2).length;
}

/** More than a document has terms. */
const anyDistance = 10_000;

/**
 * Returns the expression of a clause. FTS5 looks for the words of a phrase in one another's posts
 * until they meet, however far that is; with the anchors near it, only in posts of these.
 */
function quoted(clause: Clause, anchors: readonly string[]): string {
  const phrases = clause.map((phrase) => {
    const words = `"${phrase.join(' ')}"`;
    if (phrase.length === 1 || anchors.length === 0) return words;
    return `NEAR(${[words, ...anchors.map((anchor) => `"${anchor}"`)].join(' ')}, ${anyDistance})`;
  });
  return phrases.length === 1 ? phrases[0]! : `(${phrases.join(' OR ')})`;
}

/**
 * Returns the expression of FTS5 for clauses and `anchors`: terms that all posts must have that are
 * looked at, such as that of a window, so that what is walked ends with theirs.
 *
 * Clauses that come first should be in the fewest posts: from the third on, each is looked at only
 * where those before it meet. FTS5 walks all clauses of one AND in turn; an excluded nothing keeps
 * it from making one AND of two.
 */
export function matchOf(clauses: readonly Clause[], excluded: Clause, anchors: readonly string[]): string {
  const [first, second, ...others] = clauses.map((clause) => quoted(clause, anchors));
  const both = [first, second].filter((part) => part !== undefined);
  let match = [...anchors.map((anchor) => `"${anchor}"`), ...both].join(' AND ');
  for (const other of others) match = `((${match}) NOT "") AND ${other}`;
  return excluded.length === 0 ? match : `(${match}) NOT ${quoted(excluded, anchors)}`;
}

/**
 * Tells terms that are in few posts, as far as their spelling says: the more the higher. Most
 * common words are short, nearly all posts have a language, and most other filters name one thing.
 */
function rarityOf(term: string): number {
  if (!term.startsWith('=')) return Buffer.byteLength(term);
  return /^=[lx]/.test(term) ? 0 : 64;
}

/** True if nearly all posts have one of the alternatives, or very many. */
export function isOfMany(clause: Clause): boolean {
  return rarityOfClause(clause) === 0;
}

function rarityOfClause(clause: Clause): number {
  return Math.min(...clause.map((phrase) => Math.max(...phrase.map(rarityOf))));
}

/** Returns clauses of at most `lookedUpTermsMax` terms that find all that the given ones find. */
function lookedUp(clauses: readonly Clause[]): readonly Clause[] {
  if (termCountIn(clauses) <= lookedUpTermsMax) return clauses;
  const byRarity = [...clauses].sort((one, other) => rarityOfClause(other) - rarityOfClause(one));
  let left = lookedUpTermsMax;
  const chosen: Clause[] = [];
  for (const clause of byRarity) {
    const terms = termCountIn([clause]);
    // The beginning of a phrase finds it; of alternatives none may be left out.
    const each = chosen.length === 0 ? Math.max(1, Math.floor(left / clause.length)) : Number.POSITIVE_INFINITY;
    if (terms > left && chosen.length > 0) continue;
    chosen.push(clause.map((phrase) => phrase.slice(0, each)));
    left -= terms;
  }
  return chosen;
}

/** Tells whether terms, with a space on each side, hold one of the alternatives. */
function holds(text: string, clause: Clause): boolean {
  return clause.some((phrase) => text.includes(` ${phrase.join(' ')} `));
}

class TermReader {
  readonly #ownerOf: OwnerOf;
  #terms = 0;

  constructor(ownerOf: OwnerOf) {
    this.#ownerOf = ownerOf;
  }

  /** Returns a term as it is spelt; [] for a text without any, undefined for what no post has. */
  #phrase(term: SearchTerm): Phrase | undefined {
    if (term.kind === 'text') {
      const words = termsOf(term.value);
      this.#add(words.length);
      return words;
    }
    const author = term.kind === 'author' ? this.#ownerOf(term.value) : undefined;
    const spelt = term.kind === 'author' ? author && authorTerm(author.key, author.owner) : filterTerm(term);
    this.#add(1);
    return spelt === undefined ? undefined : [spelt];
  }

  #add(terms: number): void {
    this.#terms += terms;
    if (this.#terms > queryTermsMax)
      throw new DataPlaneError('InvalidArgument', `a query has at most ${queryTermsMax} terms`);
  }

  /** Returns alternatives; [] for none that says anything, undefined if no post here has one. */
  clause(terms: readonly SearchTerm[]): Clause | undefined {
    const phrases = terms.map((term) => this.#phrase(term));
    const known = phrases.filter((phrase) => phrase !== undefined && phrase.length > 0) as Phrase[];
    const isSilent = terms.length === 0 || phrases.some((phrase) => phrase?.length === 0);
    return known.length > 0 || isSilent ? known : undefined;
  }
}

const anyPost: Clause = [[traitTerm('original')], [traitTerm('reply')]];

/**
 * Returns the expression; null if no post of this node can match.
 *
 * Errors: DataPlaneError `InvalidArgument` past `queryTermsMax`.
 */
export function postExpression(
  { all, none }: Pick<PostQuery, 'all' | 'none'>,
  ownerOf: OwnerOf,
): PostExpression | null {
  const reader = new TermReader(ownerOf);
  const wanted: Clause[] = [];
  for (const terms of all) {
    const clause = reader.clause(terms);
    if (clause === undefined) return null;
    if (clause.length > 0) wanted.push(clause);
  }
  const unwanted = reader.clause(none) ?? [];
  // Words without a letter ask for nothing, and nothing is what they find.
  if (wanted.length === 0 && all.length > 0) return null;
  if (wanted.length === 0) wanted.push(anyPost);
  const clauses = lookedUp(wanted);
  const excluded = lookedUpOfExcluded(unwanted);
  const isWhole = clauses === wanted && excluded === unwanted;
  const isMatch = (text: string): boolean => wanted.every((clause) => holds(text, clause)) && !holds(text, unwanted);
  return {
    clauses,
    excluded,
    isMatch,
    isWhole,
    terms: termCountIn([...clauses, excluded]),
    isPlain: clauses.length === 1 && clauses[0]!.every(({ length }) => length === 1) && excluded.length === 0,
  };
}

/** The most common reject the most. */
function lookedUpOfExcluded(unwanted: Clause): Clause {
  if (termCountIn([unwanted]) <= excludedTermsMax) return unwanted;
  const byRarity = [...unwanted].sort((one, other) => rarityOfClause([one]) - rarityOfClause([other]));
  let left = excludedTermsMax;
  return byRarity.filter(({ length }) => {
    const isChosen = length <= left;
    if (isChosen) left -= length;
    return isChosen;
  });
}

/** What names or texts are asked for. */
export type NamedExpression = {
  /** Returns the expression of FTS5, with the term of a window. */
  readonly match: (window: string | null) => string;
  /** Terms that a statement looks up. */
  readonly terms: number;
  /** Those of them that are whole words, as FTS5 takes them, the rarest first by their spelling. */
  readonly words: readonly string[];
  /** Tells whether terms have all that is asked for. */
  readonly isMatch: (text: string) => boolean;
};

/** `isWhole`: the index looks up all of a name. */
export type NamedExpressions = {
  readonly name: NamedExpression;
  readonly text: NamedExpression;
  readonly isWhole: boolean;
};

/** Returns the longest beginning of a word that has an index. */
function indexedBeginning(word: string): string {
  const characters = [...word];
  const length = beginningLengths.findLast((each) => each <= characters.length)!;
  return characters.slice(0, length).join('');
}

/**
 * Returns the expressions for names, whose last word may be begun only, and for what people say of
 * themselves; null for no words.
 *
 * Errors: DataPlaneError `InvalidArgument` past `queryTermsMax`.
 */
export function namedExpressions(text: string): NamedExpressions | null {
  const terms = termsOf(text);
  if (terms.length > queryTermsMax)
    throw new DataPlaneError('InvalidArgument', `a query has at most ${queryTermsMax} terms`);
  const last = terms.at(-1);
  if (last === undefined) return null;
  const byRarity = terms.slice(0, -1).sort((one, other) => rarityOf(other) - rarityOf(one));
  const others = byRarity.slice(0, lookedUpTermsMax - 1).map((term) => `"${term}"`);
  const begun = indexedBeginning(last);
  const of = (isBegun: boolean): NamedExpression => {
    const parts = [...others, isBegun ? `"${begun}" *` : `"${last}"`];
    return {
      match: (window) => [...(window === null ? [] : [`"${window}"`]), ...parts].join(' AND '),
      terms: parts.length,
      words: isBegun ? others : parts,
      isMatch: (held) =>
        held.includes(` ${last}${isBegun ? '' : ' '}`) && byRarity.every((term) => held.includes(` ${term} `)),
    };
  };
  return { name: of(true), text: of(false), isWhole: others.length === byRarity.length && begun === last };
}
