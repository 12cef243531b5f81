/** Words of demo texts by language: our own choice, harmless and of everyday lengths. */

/** `lang` as posts name it, the weight of its draws, and how words are joined and sentences end. */
export type DemoLanguage = {
  readonly lang: string;
  readonly weight: number;
  readonly joiner: string;
  readonly end: string;
  readonly words: readonly string[];
};

const english = `morning coffee river window garden bread quiet music train station paper light winter summer cat dog
friend walk again maybe never always think really good small long new old first last read write watch listen build
break fix ship deploy server cloud phone camera photo picture film book story page chapter song album concert city
street market kitchen soup tea rain snow wind sun moon star night today tomorrow yesterday weekend holiday the a and
of to in it is was for on that with this my we you they not but so very just still about from after before`;

const portuguese = `bom dia café rua chuva sol praia amigo música livro filme gato cachorro hoje amanhã ontem sempre
nunca talvez muito pouco casa trabalho janela jardim pão trem cidade noite lua estrela verão inverno feliz saudade
gente coisa tempo de a o que e do da em um para com não uma os no se na por mais as dos como mas`;

const spanish = `buenos días café calle lluvia sol playa amigo música libro película gato perro hoy mañana ayer siempre
nunca quizás mucho poco casa trabajo ventana jardín pan tren ciudad noche luna estrella verano invierno feliz gente
cosa tiempo de la que el en y a los se del las un por con no una su para es al lo como más`;

const german = `guten morgen kaffee straße regen sonne strand freund musik buch film katze hund heute gestern immer
vielleicht wenig haus arbeit fenster garten brot zug stadt nacht mond stern sommer winter glücklich leute ding zeit
schmetterling frühstück der die und in den von zu das mit sich des auf für ist im dem nicht ein eine als auch es an`;

const french = `bonjour café rue pluie soleil plage ami musique livre film chat chien demain hier toujours jamais
beaucoup peu maison travail fenêtre jardin pain train ville nuit lune étoile été hiver heureux chose temps de la le et
les des en un du une que est pour qui dans a par plus pas au sur ne se ce il sont`;

const japanese = `今日は 朝から 雨が 降って いるので 家で 本を 読んで います コーヒーが おいしい 猫が かわいい 散歩に 行きたい
電車が 遅れて 仕事が 終わった 週末は 友達と 映画を 見る 予定 です 音楽を 聴きながら 料理を 作った 夏が 好き 冬の 星が きれい
ありがとう おはよう おやすみ 楽しかった また 明日`;

const korean = `오늘은 아침부터 비가 와서 집에서 책을 읽고 있어요 커피가 맛있다 고양이가 귀여워 산책하고 싶다 기차가 늦었다
일이 끝났다 주말에는 친구와 영화를 볼 예정 음악을 들으면서 요리를 했다 여름이 좋아 겨울 별이 예쁘다 고마워 안녕 내일 또`;

const split = (words: string): string[] => words.split(/\s+/);

/** The languages of demo posts, by their share in the real network. */
export const demoLanguages: readonly DemoLanguage[] = [
  { lang: 'en', weight: 52, joiner: ' ', end: '.', words: split(english) },
  { lang: 'ja', weight: 16, joiner: '', end: '。', words: split(japanese) },
  { lang: 'pt', weight: 12, joiner: ' ', end: '!', words: split(portuguese) },
  { lang: 'de', weight: 7, joiner: ' ', end: '.', words: split(german) },
  { lang: 'es', weight: 6, joiner: ' ', end: '.', words: split(spanish) },
  { lang: 'fr', weight: 4, joiner: ' ', end: ' !', words: split(french) },
  { lang: 'ko', weight: 3, joiner: ' ', end: '', words: split(korean) },
];

export const demoTopics: readonly string[] = split(`art science birds cats dogs music books film gardening cooking
photography space weather trains maps knitting running football chess history poetry linguistics typography webdev rust
databases astronomy ceramics bread coffee tea hiking cycling sailing theatre comics indiegames pixelart museums`);

/** Hosts of links: reserved names that belong to no one. */
export const demoHosts: readonly string[] = split(`news.example.com blog.example.org photos.example.net
archive.example.org video.example.com recipes.example.net maps.example.org papers.example.edu`);

export const demoGivenNames: readonly string[] = split(`amara bela chidi dana elif farid greta hana ines jonas kaito
leila mateo nadia oskar priya quinn rosa sami tomas uma viktor wanda ximena yusuf zora alba bruno clara diego emeka
freya goran hilde ivan jamila klara luca mina noor`);

export const demoSurnames: readonly string[] = split(`abe berg costa diaz eriksen fofana garcia hansen ito jansen
kaya lopez moreau novak okafor petrov quiroga rossi sato tanaka ueda vega weber xu yilmaz zhang`);

/** Emoji of several lengths, so that bytes, UTF-16 units and graphemes differ in texts. */
export const demoEmoji: readonly string[] = ['🙂', '🎉', '☕', '🌧️', '👩‍🔬', '🏳️‍🌈', '🇧🇷', '🐈', '✨', '📚'];
