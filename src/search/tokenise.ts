/**
 * Turns text into the terms that the index holds and that queries ask for.
 *
 * Owns: folding of case, width and marks; what a word is; bigrams for scripts without spaces. Has
 * no dictionary and no stemming, so every Node gives the same terms. A change of what it returns
 * raises `tokeniserVersion`, and indexes of another version are built anew.
 */

/** Stored in the index. */
export const tokeniserVersion = 1;

/** Further letters of a longer word are ignored, in text and in queries. Units: UTF-16 units. */
export const termLengthMax = 64;
/** Text of a document beyond this is not indexed: an alt text has no limit of its own. */
export const textLengthMax = 8_192;
/** Terms of a document beyond these are not indexed. */
const termsMax = 2_048;
const singlesMax = 256;

/** Between two fields, so that no phrase spans them. */
const fieldBreak = '_';

/** Letters that Unicode does not decompose and that people type without their strokes. */
const plainLetters: Readonly<Record<string, string>> = {
  ß: 'ss',
  æ: 'ae',
  œ: 'oe',
  ø: 'o',
  đ: 'd',
  ð: 'd',
  ħ: 'h',
  ı: 'i',
  ĸ: 'k',
  ł: 'l',
  ŋ: 'n',
  þ: 'th',
  ŧ: 't',
  ς: 'σ',
};
const foldedLetters = new RegExp(`[${Object.keys(plainLetters).join('')}]`, 'gu');

/**
 * What folding drops: accents, Hebrew points, Arabic vowel signs and the mark of stretching, and
 * what is invisible. Not all marks: those of kana, Thai and Indic scripts make other letters.
 */
const droppedMarks =
  /[\u20e3\u0300-\u036f\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7\u0610-\u061a\u0640\u064b-\u065f\u0670\u06d6-\u06ed\u00ad\u200b-\u200f\u2060\ufeff]|[\ufe00-\ufe0f]/gu;
const skinTones = /[\u{1f3fb}-\u{1f3ff}]/gu;
const beyondAscii = /[\u0080-\u{10ffff}]/u;

/** Returns text in the form in which letters are compared. */
export function foldText(text: string): string {
  if (!beyondAscii.test(text)) return text.toLowerCase();
  const composed = text.normalize('NFKD').toLowerCase().replace(droppedMarks, '').normalize('NFC');
  return composed.replace(foldedLetters, (letter) => plainLetters[letter]!).replace(skinTones, '');
}

/** Letters of scripts that are written without spaces between words. */
const unspacedLetter = (() => {
  const scripts = 'Hangul Bopomofo Yi Thai Lao Khmer Myanmar Javanese Balinese Tai_Le New_Tai_Lue Tai_Tham Tai_Viet';
  const listed = scripts.split(' ').map((script) => `\\p{sc=${script}}`);
  return `[[\\p{scx=Han}\\p{scx=Hira}\\p{scx=Kana}${listed.join('')}]&&[\\p{L}\\p{M}\\p{Nl}]]`;
})();
const unspaced = new RegExp(unspacedLetter, 'v');
/** Groups: 1, a run of such letters; 2, a word of any others; 3, a flag or an emoji. */
const runs = new RegExp(
  `(${unspacedLetter}+)|([\\p{L}\\p{M}\\p{N}]+)|(\\p{RI}{2}|[\\p{Extended_Pictographic}--[©®™]])`,
  'gv',
);
/** Characters that are asked for alone: each means something by itself. */
const single = /[[\p{sc=Han}\p{scx=Hira}\p{scx=Kana}]&&\p{L}]/v;
const asciiWords = /[a-z0-9]+/g;

function addBigrams(run: string, terms: string[]): void {
  let previous = '';
  for (const character of run) {
    if (terms.length >= termsMax) return;
    if (previous !== '') terms.push(previous + character);
    previous = character;
  }
  // A run of one character has no bigram.
  if (previous === run) terms.push(run);
}

/** Adds the terms of folded text, in its order, until there are `termsMax`. */
function addTerms(folded: string, terms: string[]): void {
  if (!beyondAscii.test(folded)) {
    for (const word of folded.match(asciiWords) ?? []) {
      if (terms.length >= termsMax) return;
      terms.push(word.length > termLengthMax ? word.slice(0, termLengthMax) : word);
    }
    return;
  }
  for (const [, bigrams, word, emoji] of folded.matchAll(runs)) {
    if (terms.length >= termsMax) return;
    if (bigrams !== undefined) addBigrams(bigrams, terms);
    else if (emoji !== undefined) terms.push(emoji);
    else addWord(word!, terms);
  }
}

/** A word that began with other letters may go on in a script without spaces. */
function addWord(word: string, terms: string[]): void {
  const at = word.search(unspaced);
  if (at < 0) return void terms.push(word.length > termLengthMax ? word.slice(0, termLengthMax) : word);
  addTerms(word.slice(0, at), terms);
  addTerms(word.slice(at), terms);
}

/** Returns the terms of a word, a phrase or a text of a query, in their order. */
export function termsOf(text: string): string[] {
  const terms: string[] = [];
  addTerms(foldText(text.slice(0, textLengthMax)), terms);
  return terms;
}

/** Terms as the index takes them: a text whose words are the terms, and how many they are. */
export type DocumentTerms = { readonly text: string; readonly count: number };

/**
 * Returns the terms of a document's fields: those of each, then its single Han and kana, which are
 * found alone although the fields have only pairs of them.
 */
export function documentTerms(fields: readonly string[]): DocumentTerms {
  const terms: string[] = [];
  const singles = new Set<string>();
  let count = 0;
  let lengthLeft = textLengthMax;
  for (const field of fields) {
    if (field === '' || lengthLeft <= 0 || terms.length >= termsMax) continue;
    if (terms.length > 0) terms.push(fieldBreak);
    const folded = foldText(field.slice(0, lengthLeft));
    lengthLeft -= field.length;
    const before = terms.length;
    addTerms(folded, terms);
    count += terms.length - before;
    if (beyondAscii.test(folded)) addSingles(folded, singles);
  }
  if (singles.size > 0) terms.push(fieldBreak, ...singles);
  return { text: terms.join(' '), count };
}

function addSingles(folded: string, singles: Set<string>): void {
  for (const character of folded) {
    if (singles.size >= singlesMax) return;
    if (character > '\u2e7f' && single.test(character)) singles.add(character);
  }
}
