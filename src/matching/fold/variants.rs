//! Variants of kanji in names: old forms (旧字体), forms outside JIS X 0208, and pairs that families mix.

use std::collections::HashMap;
use std::sync::LazyLock;

/// A class a word, the representative last. Not etymology: 斎 and 斉 differ in origin, but one person is written with
/// either. First the classes of patient-identity.md §6.2, then old forms, by reading.
const CLASSES: &str = "\
髙高 﨑嵜碕崎 邊邉辺 齋齊斉斎 澤沢 濱濵浜 廣広 櫻桜 嶋嶌島 國圀国 惠恵 榮栄 龍竜 關関 眞真 壽寿 禮礼 靜静 澁澀渋 瀧滝 \
鹽塩 德徳 條条 豐豊 萬万 曾曽 藏蔵 圓円 瀨瀬 黑黒 增増 實実 峯峰 桒桑 栁柳 與与 淸清 學斈学 彌弥 亞亜 凜凛 遙遥 冨富 穗穂 \
恆恒 𠮷吉 \
惡悪 壓圧 圍囲 醫医 爲為 壹壱 稻稲 飮飲 隱隠 羽羽 營営 衞衛 驛駅 榎榎 緣縁 艷艶 奧奥 應応 歐欧 毆殴 櫂櫂 橫横 岡岡 黃黄 \
溫温 假仮 價価 畫画 會会 囘廻回 壞壊 懷懐 繪絵 槪概 擴拡 殼殻 覺覚 樂楽 渴渇 卷巻 陷陥 勸勧 寬寛 漢漢 罐缶 觀観 顏顔 歸帰 \
氣気 龜亀 僞偽 戲戯 犧犠 舊旧 據拠 擧挙 峽峡 挾挟 狹狭 鄕郷 響響 曉暁 區区 驅駆 勳勲 薰薫 羣群 徑径 惠恵 溪渓 經経 繼継 莖茎 \
螢蛍 輕軽 鷄鶏 藝芸 擊撃 缺欠 儉倹 劍劔剣 圈圏 檢検 權権 獻献 硏研 縣県 險険 顯顕 驗験 嚴厳 戶戸 效効 晄晃 敎教 號号 嶽岳 \
雞鶏 濟済 碎砕 劑剤 齊斎 冱冴 雜雑 產産 參参 慘惨 棧桟 蠶蚕 贊賛 殘残 絲糸 祇祇 飼飼 齒歯 兒児 辭辞 濕湿 舍舎 寫写 釋釈 \
壽寿 收収 從従 澁渋 獸獣 縱縦 肅粛 處処 緖緒 諸諸 敍叙 尙尚 奬奨 將将 燒焼 稱称 證証 乘乗 剩剰 壤壌 孃嬢 淨浄 疊畳 讓譲 \
釀醸 囑嘱 觸触 寢寝 愼慎 晉晋 眞真 神神 盡尽 圖図 粹粋 醉酔 穗穂 隨随 髓髄 數数 樞枢 聲声 晴晴 精精 攝摂 竊窃 專専 戰戦 \
淺浅 潛潜 纖繊 踐践 錢銭 禪禅 祖祖 壯壮 莊荘 搜捜 插挿 爭争 總総 聰聡 裝装 騷騒 增増 臟臓 卽即 屬属 續続 墮堕 對対 體体 \
帶帯 滯滞 臺台 瀧滝 擇択 單単 擔担 膽胆 團団 彈弾 斷断 癡痴 遲遅 晝昼 蟲虫 鑄鋳 廳庁 聽聴 敕勅 鎭鎮 塚塚 遞逓 鐵鉄 轉転 \
點点 傳伝 都都 黨党 盜盗 燈灯 當当 鬪闘 獨独 讀読 突突 屆届 繩縄 貳弐 惱悩 腦脳 霸覇 廢廃 拜拝 梅梅 賣売 麥麦 發発 髮髪 \
拔抜 繁繁 飯飯 蠻蛮 祕秘 濱浜 甁瓶 佛仏 步歩 福福 拂払 倂併 竝並 變変 邊辺 辨弁 瓣弁 辯弁 寶寳宝 萠萌 襃褒 豫予 冐冒 \
飜翻 槇槙 每毎 滿満 萬万 默黙 戾戻 彌弥 藥薬 譯訳 藪薮 祐祐 與与 餘余 譽誉 搖揺 樣様 謠謡 來来 賴頼 亂乱 蘭蘭 覽覧 欄欄 \
隆隆 龍竜 虜虜 兩両 獵猟 綠緑 凉涼 壘塁 淚涙 類類 勵励 禮礼 隷隷 靈霊 齡齢 歷歴 曆暦 戀恋 練練 鍊錬 爐炉 勞労 廊廊 朗朗 \
樓楼 郞郎 祿禄 錄録 灣湾 \
館舘 籐藤 籘藤 桧檜 槙槙 逹達 莱萊 蓮蓮 辻辻 樋樋 葛葛 祁祁 榊榊 鴬鶯 靭靱 鷗鴎 蔣蒋 檮梼 瀆涜 禱祷 濤涛 渊淵渕 \
苔苔 姬姫 姜姜 槗橋 𣘺橋 𫝆今 㟢崎 埜野 嘉嘉 會会 籠篭 楳梅 栢柏 舩船 曻昇 舘館 隝島 㠀島 礒磯 砿鉱 鑛鉱 彥彦 顗顗 \
昻昂 巌巖 巖巌 薗園 翆翠 裵裴 邨村 埀垂 槻槻 莵兎 兔兎 菟兎 緋緋 啓啟 啟啓 晧皓 煕熙 凞熙 \
穣穰 穰穣 卓卓 翔翔 琢琢 都都 徠来 梁梁 渚渚 猪猪 琉琉 塡填 頰頬 剝剥 吞呑 屛屏 幷并 軀躯 醬醤 麴麹 攢攅 繡繍 蠟蝋 \
嚙噛 囊嚢 潑溌 焰焔 瘦痩 簞箪 蟬蝉 賤賎 俠侠 俱倶 倦倦 鱒鱒 饒饒 槌槌 祢禰 弁弁 舖舗 舗舗 苅刈 墻牆 笹笹 濶闊 洌冽 \
晢晰 仂働 脇脇 脅脇 糀麹 糺糾 耻恥 耕畊 畊耕 畧略 畄留 畱留 珎珍 尓爾 尒爾 尭堯 堯尭 埴埴 嵓巌 嵒巌 檞槲 \
桝枡 枡桝 柿柹 柹柿 杦杉 楊楊 椙杉 槇槙 樫樫 櫁樒 檜桧 穐秋 龝秋 龢和 咊和 烱炯 煇輝 燿耀 熈熙 焼焼 淼淼 泪涙 \
沪濾 濾沪 汨汨 洲州 渡渡 湶泉 溪渓 谿渓 潟潟 濵浜 濳潜 瀦潴 卆卒 亰京 亮亮 倉倉 儘侭 侭儘 凉涼 凛凛 勗勖 勲勲 卉卉 卯夘 \
夘卯 厩廐 廐厩 厰廠 參参 双雙 雙双 喆哲 喜㐂 㐂喜 嘗甞 嚢嚢 圡土 圭圭 垣垣 埓埒 堺界 塲場 塩塩 壻婿 夛多 奈柰 柰奈 妍姸 \
姸妍 娯娯 孝孝 宍宍 宮宮 寉鶴 鸖鶴 寬寛 寳宝 專専 尢尤 峩峨 嶺嶺 嶽岳 巳巳 帋紙 幡幡 庄庄 弌一 弍二 弎三 彅薙 忠忠 悳徳 惇惇 \
愼慎 慶慶 戞戛 戸戸 扇扇 昿曠 曠昿 曽曽 會会 朖朗 柗松 枩松 枀松 栁柳 桺柳 梶梶 梹檳 棊棋 碁棋 條条 椋椋 楡楡 楢楢 榮栄 榘矩 \
";

/// Variant → representative.
static TABLE: LazyLock<HashMap<char, char>> = LazyLock::new(|| {
    let mut parents: HashMap<char, char> = HashMap::new();
    for class in CLASSES.split_whitespace() {
        let mut members = class.chars().rev();
        let Some(last) = members.next() else { continue };
        let root = find(&parents, last);
        for member in members {
            let other = find(&parents, member);
            if other != root {
                parents.insert(other, root);
            }
        }
    }
    let members: Vec<char> = parents.keys().copied().collect();
    members.into_iter().map(|c| (c, find(&parents, c))).collect()
});

fn find(parents: &HashMap<char, char>, mut c: char) -> char {
    while let Some(parent) = parents.get(&c) {
        c = *parent;
    }
    c
}

/// The character all variants of it are compared as.
pub(super) fn representative(c: char) -> char {
    // Nearly all text: kana, digits, Latin letters.
    if (c as u32) < 0x3400 {
        return c;
    }
    TABLE.get(&c).copied().unwrap_or(c)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_representative_represents_itself() {
        for (variant, root) in TABLE.iter() {
            assert_eq!(representative(*root), *root, "{variant}");
        }
        assert!(TABLE.len() > 300, "{}", TABLE.len());
    }

    #[test]
    fn what_is_not_a_variant_stays() {
        for c in "山田太郎佐藤あア1A藤野".chars() {
            assert_eq!(representative(c), c);
        }
    }
}
