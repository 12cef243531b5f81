/** What operators suggest to everyone: its lists, their limits, and how a list changes. */

/** The key, instead of a DID, whose slot holds all suggestions. */
export const suggestionsKey = 'cluster';

/** Part of the stored format: append only. */
export const suggestionLists = ['follows', 'feeds', 'tagged'] as const;
export type SuggestionList = (typeof suggestionLists)[number];

/** Suggestions of one list; more are not taken. */
export const suggestionsMax = 2_000;
/** Changes of one entry. */
export const suggestionChangesMax = 1_000;
export const suggestionOrderMax = 2 ** 32 - 1;

/**
 * One suggestion: a DID to follow, a feed's AT-URI, or either with a tag.
 *
 * `order`: where it is in its list, lowest first; `last` leaves it where it is, or adds it at the
 * end; `gone` removes it.
 */
export type SuggestionChange = {
  /** '' but in the list `tagged`, of which it is part of the key. */
  readonly tag: string;
  readonly subject: string;
  /** What the subject is, such as `actor` or `feed`; '' but in the list `tagged`. */
  readonly subjectType: string;
  readonly order: number | 'last' | 'gone';
};
