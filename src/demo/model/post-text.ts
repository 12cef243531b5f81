/** Composes demo texts: several languages, facets with byte offsets, a long tail of lengths. */
import type { SeededRandom } from '../../base/seeded-random.ts';
import { longTailed, weightedChoice } from './skewed-choice.ts';
import { type DemoLanguage, demoEmoji, demoHosts, demoLanguages, demoTopics } from './word-lists.ts';

/** Units: UTF-8 bytes, end excluded. */
export type TextFacet = {
  readonly byteStart: number;
  readonly byteEnd: number;
  readonly feature:
    | { readonly type: 'mention'; readonly did: string }
    | { readonly type: 'link'; readonly uri: string }
    | { readonly type: 'tag'; readonly tag: string };
};

/** `lang` is null when the post names no language. */
export type ComposedText = {
  readonly text: string;
  readonly lang: string | null;
  readonly facets: readonly TextFacet[];
};

export type Mention = { readonly did: string; readonly handle: string };

const chooseLanguage = weightedChoice(demoLanguages.map((language) => [language, language.weight] as const));

/** Returns words of a language up to about `characters` long. */
function words(random: SeededRandom, language: DemoLanguage, characters: number): string {
  let text = language.words[random.below(language.words.length)]!;
  while (text.length < characters) text += language.joiner + language.words[random.below(language.words.length)]!;
  return text;
}

/** Returns a phrase without facets, for names and descriptions. */
export function phrase(random: SeededRandom, characters: number): string {
  return words(random, chooseLanguage(random), characters);
}

/** Returns an address on a reserved host, which belongs to no one. */
export function demoUrl(random: SeededRandom): string {
  const host = demoHosts[random.below(demoHosts.length)]!;
  const topic = demoTopics[random.below(demoTopics.length)]!;
  return `https://${host}/${topic}/${random.below(1_000_000).toString(36)}`;
}

/** Composes one post's text. Appends `mention` if any. Stays below 300 graphemes. */
export function composeText(random: SeededRandom, mention: Mention | null): ComposedText {
  const language = chooseLanguage(random);
  // Scripts without spaces say more per character.
  const scale = language.joiner === '' ? 0.5 : 1;
  const length = Math.min(220, longTailed(random, 48, 0.75)) * scale;
  let text = words(random, language, length) + (random.next() < 0.5 ? language.end : '');
  if (random.next() < 0.12) text += ` ${demoEmoji[random.below(demoEmoji.length)]!}`;
  const facets: TextFacet[] = [];
  const append = (shown: string, feature: TextFacet['feature']): void => {
    const byteStart = Buffer.byteLength(text) + 1;
    text += ` ${shown}`;
    facets.push({ byteStart, byteEnd: byteStart + Buffer.byteLength(shown), feature });
  };
  if (mention !== null) append(`@${mention.handle}`, { type: 'mention', did: mention.did });
  const kind = random.next();
  if (kind < 0.05) {
    const tag = demoTopics[random.below(demoTopics.length)]!;
    append(`#${tag}`, { type: 'tag', tag });
  } else if (kind < 0.1) {
    const uri = demoUrl(random);
    append(uri.slice('https://'.length, 30), { type: 'link', uri });
  }
  return { text, lang: random.next() < 0.9 ? language.lang : null, facets };
}
