/** Real sentences in many languages, what must be found in them, and what must not. */
import { describe, expect, it } from 'vitest';
import { documentTerms, foldText, termLengthMax, termsOf, textLengthMax } from '../../../src/search/tokenise.ts';

/** True if a text holds a query's terms, one directly after the other, as the index compares. */
function isFound(text: string, query: string): boolean {
  const asked = termsOf(query);
  return asked.length > 0 && ` ${documentTerms([text]).text} `.includes(` ${asked.join(' ')} `);
}

type Example = { language: string; text: string; found: string[]; notFound: string[] };

const examples: Example[] = [
  {
    language: 'English',
    text: "The café's naïve owner don't mind: 3.14 cups & counting!",
    found: ['cafe', 'NAÏVE owner', "don't", '3.14', 'counting'],
    notFound: ['caf', 'owner naive', 'mindful'],
  },
  {
    language: 'German',
    text: 'Die Straße nach Köln führt über eine große Brücke.',
    found: ['strasse', 'KÖLN', 'koln', 'große brücke', 'GROSSE'],
    notFound: ['brucken', 'köl'],
  },
  {
    language: 'French',
    text: "L’œuvre d'art où Zoé s'arrêta hier, déjà.",
    found: ['oeuvre', 'd’art', 'ou zoe', 'arreta', 'DÉJÀ'],
    notFound: ['oeuvres'],
  },
  {
    language: 'Polish and Danish',
    text: 'Łódź jest piękna, siger Søren på en ø.',
    found: ['lodz', 'piekna', 'søren', 'SOREN', 'pa en o'],
    notFound: ['lod'],
  },
  {
    language: 'Turkish',
    text: 'İstanbul’da ışıklar ILIK bir akşam yandı.',
    found: ['istanbul', 'isiklar', 'ışıklar', 'ılık', 'aksam'],
    notFound: ['isik'],
  },
  {
    language: 'Vietnamese',
    text: 'Hôm nay trời đẹp quá, chúng tôi đi chợ Bến Thành.',
    found: ['hom nay', 'ĐẸP', 'dep', 'cho ben thanh', 'trời'],
    notFound: ['hom qua'],
  },
  {
    language: 'Russian',
    text: 'Ёлка стоит у окна, а ёж спит под ней.',
    found: ['елка', 'ЁЖ', 'стоит у окна'],
    notFound: ['ел', 'окно'],
  },
  {
    language: 'Greek',
    text: 'Ο σοφός άνθρωπος περπατά στην Αθήνα.',
    found: ['ΣΟΦΌΣ', 'σοφος', 'ανθρωπος', 'αθηνα'],
    notFound: ['σοφ'],
  },
  {
    language: 'Arabic',
    text: 'قَرَأْتُ الأَخْبَارَ في الصّبـاح مع القهوة',
    found: ['قرأت', 'الاخبار', 'الصباح', 'مع القهوة'],
    notFound: ['قهوة'],
  },
  {
    language: 'Persian',
    text: 'من می‌خواهم کتاب‌ها را بخوانم',
    found: ['میخواهم', 'می‌خواهم', 'کتابها را'],
    notFound: ['خواهم'],
  },
  {
    language: 'Hebrew',
    text: 'שָׁלוֹם לְכֻלָּם, זה בוקר יפה בתל־אביב',
    found: ['שלום', 'לכלם', 'בוקר יפה', 'אביב'],
    notFound: ['בוקר זה'],
  },
  {
    language: 'Hindi',
    text: 'आज हम नई किताब पढ़ रहे हैं और चाय पी रहे हैं।',
    found: ['किताब', 'नई किताब', 'चाय पी', 'पढ़'],
    notFound: ['कताब', 'किता'],
  },
  {
    language: 'Chinese',
    text: '我们昨天在上海图书馆读了一本新书。',
    found: ['图书馆', '上海', '新书', '书', '海图', '在上海图书馆'],
    notFound: ['图馆', '北京', '京'],
  },
  {
    language: 'Japanese',
    text: '東京タワーでｶﾞﾗｽのラーメン屋さんが見えました！',
    found: ['東京', '京タ', 'ガラス', 'ラーメン', '屋', 'が見え', 'タワー'],
    notFound: ['東タ', 'カラス', 'か見え', '大'],
  },
  {
    language: 'Korean',
    text: '오늘은 서울도서관에서 새로운 책을 읽었습니다.',
    found: ['서울', '도서관', '서울도서관', '책을', '새로운'],
    notFound: ['부산', '서도'],
  },
  {
    language: 'Thai',
    text: 'วันนี้ฉันอ่านหนังสือที่ห้องสมุดใหญ่',
    found: ['หนังสือ', 'ห้องสมุด', 'อ่าน', 'ใหญ่'],
    notFound: ['หนังสด', 'หองสมุด'],
  },
  {
    language: 'Lao, Khmer and Burmese',
    text: 'ຂ້ອຍຮັກເມືອງລາວ ខ្ញុំស្រឡាញ់ភ្នំពេញ ကျွန်တော်ရန်ကုန်ကိုချစ်တယ်',
    found: ['ເມືອງລາວ', 'ភ្នំពេញ', 'ရန်ကုန်'],
    notFound: ['ລາວເມືອງ', 'ဂန်ကုန်'],
  },
];

describe('the terms of a text', () => {
  it.each(examples)('find what is in a text and nothing else: $language', ({ text, found, notFound }) => {
    expect(found.filter((query) => !isFound(text, query))).toEqual([]);
    expect(notFound.filter((query) => isFound(text, query))).toEqual([]);
  });

  it('are the same for text and query in every form of Unicode, case and width', () => {
    for (const { text } of examples) {
      const terms = termsOf(text);
      for (const form of ['NFC', 'NFD', 'NFKC', 'NFKD']) expect(termsOf(text.normalize(form))).toEqual(terms);
    }
    expect(termsOf('ＡＢＣ１２３ ﬁne')).toEqual(['abc123', 'fine']);
  });

  it('keep kana with voicing marks apart from those without', () => {
    expect(termsOf('がか')).toEqual(['がか']);
    expect(foldText('が')).toBe('が');
    expect(foldText('か')).not.toBe(foldText('が'));
  });

  it('have each emoji, without skin tone and variation, and flags as pairs', () => {
    expect(termsOf('ok👍🏽❤️‍🔥!🇩🇪🇫🇷 1️⃣')).toEqual(['ok', '👍', '❤', '🔥', '🇩🇪', '🇫🇷', '1']);
    expect(isFound('gute Nacht 👩‍🚀', '👩🏿‍🚀')).toBe(true);
    expect(termsOf('© ™')).toEqual(['tm']);
  });

  it('part a word where its script changes to one without spaces', () => {
    expect(termsOf('iPhone16東京abc')).toEqual(['iphone16', '東京', 'abc']);
    expect(termsOf('犬')).toEqual(['犬']);
  });

  it('are none for punctuation, blanks, controls and lone surrogates', () => {
    expect(termsOf(' \0\n"*():^-+.…、。«»\ud800\udc00\udfff ')).toEqual(termsOf('\ud800\udc00'));
    expect(termsOf('\ud83d')).toEqual([]);
  });

  it('hold nothing that the index or its query language reads in another way', () => {
    const special = 'NEAR( a AND b* OR "c" NOT {d}:e ^f + g = h _ i';
    for (const term of termsOf(special)) expect(term).toMatch(/^[a-z]+$/);
  });
});

describe('the terms of a document', () => {
  it('come field by field, and no phrase spans two of them', () => {
    const { text, count } = documentTerms(['one two', '', 'three']);
    expect(text).toBe('one two _ three');
    expect(count).toBe(3);
  });

  it('end with each single Han and kana once', () => {
    expect(documentTerms(['日本の日本']).text.split(' _ ')[1]).toBe('日 本 の');
    expect(documentTerms(['서울 ไทย']).text).not.toContain('_');
  });

  it('are bounded, however long a text or a word is', () => {
    const long = documentTerms(['a'.repeat(100_000)]);
    expect(long.text.length).toBe(termLengthMax);
    expect(termsOf('b'.repeat(100))).toEqual(termsOf('b'.repeat(90)));
    const many = documentTerms(Array.from({ length: 1_000 }, () => 'x y z '.repeat(1_000)));
    expect(many.text.length).toBeLessThan(textLengthMax);
    const han = documentTerms([Array.from({ length: 20_000 }, (_, at) => String.fromCodePoint(0x4e00 + at)).join('')]);
    expect(han.text.split(' ').length).toBeLessThan(2_048 + 256 + 4);
  });
});
