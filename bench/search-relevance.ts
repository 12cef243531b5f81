/**
 * Forty queries with a known best answer each, among posts that hold some or all of their words.
 *
 * For each: the best post, the sort by which it should come in the top 3, and rivals that are
 * older, less liked, or hold the words apart. The share that is found should be 0.9.
 */
import type { SeededRandom } from '../src/base/seeded-random.ts';
import type { Figures } from './report.ts';

type PlacedPost = { readonly text: string; readonly ageMs: number; readonly likes: number };
type Asked = { readonly query: string; readonly sort: 'latest' | 'top'; readonly best: number };
export type Relevance = { readonly posts: readonly PlacedPost[]; readonly asked: readonly Asked[] };

const hourMs = 3_600_000;

/** [query, sort, best post, rivals]. */
const cases: readonly (readonly [string, 'latest' | 'top', string, readonly string[]])[] = [
  // Names.
  [
    'Wilhelmina Braithwaite',
    'top',
    'Wilhelmina Braithwaite wins the chess title',
    ['Wilhelmina went out', 'Braithwaite lost'],
  ],
  ['Okonkwo-Ferreira', 'top', 'Our editor Okonkwo-Ferreira is on leave', ['Okonkwo was there', 'Ferreira was here']],
  ['zoë krähenbühl', 'top', 'Concert tonight by Zoë Krähenbühl', ['zoe went home', 'Krähenbühl is a name']],
  ['søren', 'latest', 'Søren opened his bakery', []],
  ["o'malley", 'top', "O'Malley signs the treaty", ['malley and o']],
  ['@notahandle vandenberghe', 'top', 'notahandle says that Vandenberghe resigned', ['vandenberghe alone']],
  ['Łukasz Piątek', 'top', 'Łukasz Piątek gewinnt den Lauf', ['lukasz rennt']],
  ['Nguyễn Thị Ánh', 'top', 'Họa sĩ Nguyễn Thị Ánh mở triển lãm', ['Nguyen Van']],
  ['Αθηνά Παπαδοπούλου', 'top', 'Η Αθηνά Παπαδοπούλου έγραψε βιβλίο', ['Αθήνα το βράδυ']],
  ['Екатерина Жёлтая', 'top', 'Екатерина Желтая открыла выставку', ['Екатерина ушла']],
  // Phrases.
  [
    '"purple teapot festival"',
    'top',
    'The purple teapot festival begins',
    ['a festival with a teapot that is purple', 'purple festival teapot'],
  ],
  [
    '"to be or not to bee"',
    'top',
    'To bee or what? "To be or not to bee" she wrote',
    ['not to be or to bee', 'to bee to be or not'],
  ],
  ['"seven rusty keys"', 'latest', 'I found seven rusty keys', ['rusty keys, seven of them']],
  ['"glass onion soup"', 'top', 'recipe for glass onion soup', ['onion soup in a glass']],
  ['"wooden moon" crater', 'top', 'The wooden moon has a crater', ['moon crater wooden', 'wooden moon without holes']],
  ['“quiet storm warning”', 'top', 'A quiet storm warning was issued', ['warning of a quiet storm']],
  ['"3.14159 approximation"', 'top', '3.14159 approximation day', ['approximation of 3 14159']],
  ['"don\'t panic towel"', 'top', "don't panic towel giveaway", ['panic over a towel, don’t']],
  // Rare words.
  ['sesquipedalianism', 'latest', 'Sesquipedalianism defined', []],
  ['zyzzyva', 'latest', 'A zyzzyva on my desk', []],
  ['pneumonoultramicroscopic', 'top', 'pneumonoultramicroscopic dust', []],
  ['floccinaucinihilipilification', 'top', 'floccinaucinihilipilification again', []],
  ['qwyjibo', 'latest', 'qwyjibo!', []],
  ['#defenestrationfriday', 'latest', 'Happy #defenestrationfriday', []],
  ['borborygmus recipe', 'top', 'borborygmus recipe', ['borborygmus alone']],
  ['hiraeth -song', 'top', 'Hiraeth, a feeling', ['hiraeth song']],
  // Bursts of news: many posts of an hour, one far better liked.
  ['earthquake lisbonville', 'top', 'Earthquake in Lisbonville: what is known', burst('earthquake lisbonville')],
  ['volcano kraplatoa', 'top', 'Volcano Kraplatoa erupts, villages leave', burst('volcano kraplatoa')],
  ['election ruritania', 'top', 'Election in Ruritania: results', burst('election ruritania')],
  ['strike skyport', 'top', 'Strike at Skyport ends after talks', burst('strike skyport')],
  ['comet brindleby', 'top', 'Comet Brindleby seen from here', burst('comet brindleby')],
  ['final grobball', 'top', 'Final of grobball: a thriller', burst('final grobball')],
  // Scripts without spaces, and emoji.
  ['紫陽花祭', 'top', '鎌倉の紫陽花祭に行きました', ['祭の紫', '陽花']],
  ['回転寿司博物館', 'latest', '回転寿司博物館が開館', []],
  ['量子计算机原型', 'top', '他们发布了量子计算机原型', ['量子物理', '计算机']],
  ['敦煌壁画', 'latest', '今天去看敦煌壁画', []],
  ['한글서예전시', 'top', '한글서예전시 오늘 시작', ['한글 책']],
  ['ตลาดน้ำอัมพวา', 'top', 'วันนี้ไปตลาดน้ำอัมพวา', ['ตลาด']],
  ['مهرجان الزعفران', 'top', 'افتتاح مِهرجان الزعفران', ['مهرجان آخر']],
  ['🦑🎻', 'latest', 'band name: 🦑🎻', ['🎻 and 🦑']],
];

function burst(words: string): string[] {
  return Array.from({ length: 60 }, (_unused, at) => `omg ${words} ${at}`);
}

/** Makes the posts; the best is a few hours old and liked, rivals are around it in time. */
export function relevancePosts(random: SeededRandom): Relevance {
  const posts: PlacedPost[] = [];
  const asked = cases.map(([query, sort, best, rivals]): Asked => {
    for (const text of rivals)
      posts.push({ text, ageMs: Math.floor(random.next() * 48 * hourMs), likes: random.below(4) });
    posts.push({ text: best, ageMs: 3 * hourMs, likes: sort === 'top' ? 60 : 0 });
    return { query, sort, best: posts.length - 1 };
  });
  return { posts, asked };
}

/** Asks all; `find` returns the keys of the first three hits, which end with the post's number. */
export function relevanceFigures(
  { asked }: Relevance,
  find: (query: string, sort: 'latest' | 'top') => readonly string[],
): Figures {
  const missed = asked.filter(
    ({ query, sort, best }) => !find(query, sort).some((key) => key.endsWith(`/r${10_000_000 + best}`)),
  );
  return {
    relevance_queries: asked.length,
    best_in_top_3_share: (asked.length - missed.length) / asked.length,
    best_missed: missed.map(({ query }) => query).join(', '),
  };
}
