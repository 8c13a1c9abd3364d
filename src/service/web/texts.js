// What the page says, in every language; {words} are filled in.
const TEXTS = {
  en: {
    title: "Two people talk at once. Hear each of them alone.", drop: "Drop a recording here", choose: "Choose a file",
    record: "Record", demo: "Try the demo", formats: "wav, flac, mp3, ogg … any sample rate.",
    limits: "At most {minutes} minutes and {megabytes} MB.", separate: "Separate", performance: "Performance", api: "API",
    privacy: "Your recording stays on this server and is deleted by itself.",
    recording: "Recording", stop: "Stop and separate", discard: "Discard", cancel: "Cancel", again: "Another one",
    all: "Download all", play: "Play", pause: "Pause", mixture: "Mixture", voice: "Voice {number}", solo: "Solo",
    mute: "Mute", download: "Download", skip: "Skip to the content", token: "This service wants a token.", go: "Go on",
    seek: "Position in the recording", uploading: "Uploading … {percent} %", preparing: "Reading the recording …",
    queued: "Waiting: {place} before you", next: "Next in line …", running: "Separating … {percent} %",
    fetching: "Fetching the voices …", cancelled: "The job was cancelled.", gone: "The service does not answer.",
    tryLater: "Is it running? Try again in a moment.", noMicrophone: "The microphone cannot be used.",
    allowMicrophone: "Allow it in the browser; over a network the page must come by https.",
    tooShort: "Nothing was recorded.", long: "The recording is too long to be shown here; its voices can be downloaded.",
    keys: "<kbd>Space</kbd> play, <kbd>←</kbd> <kbd>→</kbd> jump, <kbd>0</kbd> mixture alone, <kbd>1</kbd> <kbd>2</kbd> a voice alone, click to jump there",
    demoName: "demo mixture", recordedName: "recording",
    speed: "times as fast as real time", speedNote: "{cores} cores · {processor}", measuring: "being measured …",
    gain: "SI-SNR improvement, mean", gainNote: "of {count} mixtures, median {median} dB", improved: "mixtures improved",
    ofAll: "{improved} of {count}", distribution: "How much each mixture improved", axis: "SI-SNR improvement, dB",
    noEvaluation: "This model has not been evaluated yet. The results of eval.py in the folder eval/ beside the model, or in --eval_dir, are shown here.",
    card: "Model card", noCard: "There is no model card beside the model.", model: "The model", figuresTitle: "How good, how fast",
    rate: "sample rate", speakers: "voices", busy: "Loading …",
  },
  zh: {
    title: "两个人同时说话，让你分别听清每一个人。", drop: "把录音拖到这里", choose: "选择文件", record: "录音", demo: "试听示例",
    formats: "支持 wav、flac、mp3、ogg 等格式，采样率不限。", limits: "最长 {minutes} 分钟，最大 {megabytes} MB。",
    separate: "语音分离", performance: "性能", api: "接口", privacy: "录音只保存在本服务器上，到期自动删除。",
    recording: "正在录音", stop: "停止并分离", discard: "放弃", cancel: "取消", again: "换一段", all: "全部下载", play: "播放", pause: "暂停",
    mixture: "混合语音", voice: "说话人 {number}", solo: "独听", mute: "静音", download: "下载", skip: "跳到正文",
    token: "本服务需要访问令牌。", go: "继续", seek: "播放位置", uploading: "正在上传…… {percent}%", preparing: "正在读取录音……",
    queued: "排队中：前面还有 {place} 个", next: "马上开始……", running: "正在分离…… {percent}%", fetching: "正在取回结果……",
    cancelled: "任务已取消。", gone: "服务没有响应。", tryLater: "请确认服务正在运行，稍后再试。", noMicrophone: "无法使用麦克风。",
    allowMicrophone: "请在浏览器中允许使用麦克风；通过网络访问时页面须使用 https。", tooShort: "没有录到声音。",
    long: "录音太长，无法在页面中显示；可以下载分离结果。",
    keys: "<kbd>空格</kbd> 播放，<kbd>←</kbd> <kbd>→</kbd> 快退快进，<kbd>0</kbd> 只听混合语音，<kbd>1</kbd> <kbd>2</kbd> 只听某个说话人，点击波形跳转",
    demoName: "示例混合语音", recordedName: "录音", speed: "倍实时速度", speedNote: "{cores} 核 · {processor}", measuring: "正在测量……",
    gain: "SI-SNR 平均提升", gainNote: "共 {count} 条混合语音，中位数 {median} dB", improved: "得到改善的混合语音",
    ofAll: "{count} 条中的 {improved} 条", distribution: "每条混合语音的提升", axis: "SI-SNR 提升，dB",
    noEvaluation: "该模型尚未评估。把 eval.py 的结果放在模型旁的 eval/ 文件夹中，或用 --eval_dir 指定，即可在此显示。",
    card: "模型说明", noCard: "模型旁没有模型说明文件。", model: "模型", figuresTitle: "效果与速度", rate: "采样率", speakers: "说话人数", busy: "加载中……",
  },
};
// The service's own words are English; in Chinese what they are about is said first.
const STATUS_ZH = {
  400: ["请求有误", ""], 401: ["令牌无效", "请重新输入访问令牌。"], 408: ["上传太慢", "请换用更快的网络，或缩短录音。"],
  413: ["录音太大或太长", "请使用 flac、mp3 等压缩格式，或分段上传。"], 415: ["不支持的格式", "请使用 wav、flac、mp3、ogg 等格式。"],
  422: ["无法使用这段录音", "文件可能已损坏或不完整。"], 429: ["服务繁忙", "请稍后再试。"], 500: ["服务内部错误", "详情见服务日志。"],
  503: ["服务尚未就绪", "请稍后再试。"], 504: ["处理超时", ""], 507: ["服务器磁盘已满", "请稍后再试。"],
};

let language = localStorage.getItem("language") || (navigator.language.startsWith("zh") ? "zh" : "en");

export function text(key, values = {}) {
  return TEXTS[language][key].replace(/\{(\w+)\}/g, (_, name) => values[name]);
}

// What is wrong and what to do about it.
export function errorText({ status, message, hint }) {
  if (language !== "zh" || !STATUS_ZH[status]) return [message, hint || ""];
  return [STATUS_ZH[status][0], `${STATUS_ZH[status][1]}（${message}）`];
}

export function translate(root = document) {
  document.documentElement.lang = language;
  for (const element of root.querySelectorAll("[data-text]")) element.textContent = text(element.dataset.text);
  for (const element of root.querySelectorAll("[data-html]")) element.innerHTML = text(element.dataset.html);
  const button = document.getElementById("language");
  button.textContent = language === "en" ? "中文" : "English";
  button.lang = language === "en" ? "zh" : "en";
}

export function switchLanguage() {
  language = language === "en" ? "zh" : "en";
  localStorage.setItem("language", language);
  translate();
}
