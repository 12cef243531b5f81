/** The answer of `slot.suggestions`: a list in order, as groups of four texts. */
import { decodeTexts, encodeTexts } from './message.ts';

/** One suggestion; `tag` and `subjectType` are '' but in the list `tagged`. */
export type WireSuggestion = {
  readonly tag: string;
  readonly subject: string;
  readonly subjectType: string;
  readonly order: number;
};

const textsOfEach = 4;

/** Encodes suggestions in their order. */
export function encodeSuggestions(suggestions: readonly WireSuggestion[]): Buffer {
  return encodeTexts(
    suggestions.flatMap(({ tag, subject, subjectType, order }) => [tag, subject, subjectType, String(order)]),
  );
}

/** Reads what `encodeSuggestions` wrote. */
export function decodeSuggestions(bytes: Uint8Array): WireSuggestion[] {
  const texts = decodeTexts(bytes);
  return Array.from({ length: Math.trunc(texts.length / textsOfEach) }, (_unused, index) => {
    const [tag, subject, subjectType, order] = texts.slice(index * textsOfEach, (index + 1) * textsOfEach);
    return { tag: tag!, subject: subject!, subjectType: subjectType!, order: Number(order) };
  });
}
