// Samples: decoding, wav files, pictures of them.
const SIZE = 256; // of a spectrum's window, samples at twice the highest frequency shown

export async function decode(bytes, rate) {
  const context = new OfflineAudioContext(1, 1, Math.min(96000, Math.max(8000, rate)));
  return context.decodeAudioData(bytes);
}

export function mono(buffer) {
  const out = new Float32Array(buffer.length);
  for (let c = 0; c < buffer.numberOfChannels; c++) {
    const data = buffer.getChannelData(c);
    for (let i = 0; i < out.length; i++) out[i] += data[i] / buffer.numberOfChannels;
  }
  return out;
}

export function wav(samples, rate) {
  const view = new DataView(new ArrayBuffer(44 + 2 * samples.length));
  const word = (at, value) => [...value].forEach((c, i) => view.setUint8(at + i, c.charCodeAt(0)));
  word(0, "RIFF"); view.setUint32(4, 36 + 2 * samples.length, true); word(8, "WAVEfmt ");
  view.setUint32(16, 16, true); view.setUint16(20, 1, true); view.setUint16(22, 1, true);
  view.setUint32(24, rate, true); view.setUint32(28, 2 * rate, true); view.setUint16(32, 2, true);
  view.setUint16(34, 16, true); word(36, "data"); view.setUint32(40, 2 * samples.length, true);
  samples.forEach((x, i) => view.setInt16(44 + 2 * i, Math.max(-32768, Math.min(32767, Math.round(x * 32768))), true));
  return new Blob([view], { type: "audio/wav" });
}

// Power spectrum of SIZE samples from `start` on, every `step`-th (radix 2, in place).
function spectrum(samples, start, step, re, im) {
  const bits = Math.log2(SIZE);
  for (let i = 0; i < SIZE; i++) {
    let j = 0;
    for (let b = 0; b < bits; b++) j |= ((i >> b) & 1) << (bits - 1 - b);
    let sum = 0; // a mean over the samples between: a simple filter against aliases
    for (let k = 0; k < step; k++) sum += samples[start + i * step + k] || 0;
    re[j] = (sum / step) * (0.5 - 0.5 * Math.cos((2 * Math.PI * i) / SIZE));
    im[j] = 0;
  }
  for (let half = 1; half < SIZE; half *= 2) {
    for (let k = 0; k < half; k++) {
      const c = Math.cos((Math.PI * k) / half), s = -Math.sin((Math.PI * k) / half);
      for (let i = k; i < SIZE; i += 2 * half) {
        const r = re[i + half] * c - im[i + half] * s, m = re[i + half] * s + im[i + half] * c;
        re[i + half] = re[i] - r; im[i + half] = im[i] - m; re[i] += r; im[i] += m;
      }
    }
  }
}

// Waveform above, spectrogram below, in one colour [r, g, b].
export function draw(canvas, samples, rate, highest, tone, peak) {
  const scale = window.devicePixelRatio || 1;
  const width = (canvas.width = Math.max(1, Math.round(canvas.clientWidth * scale)));
  const height = (canvas.height = Math.max(1, Math.round(canvas.clientHeight * scale)));
  const context = canvas.getContext("2d"), top = Math.round(height * 0.42), low = height - top;
  context.fillStyle = `rgb(${tone})`;
  const each = samples.length / width;
  for (let x = 0; x < width; x++) {
    let least = 1, most = -1;
    const end = Math.max(Math.floor((x + 1) * each), Math.floor(x * each) + 1);
    const step = Math.max(1, Math.floor((end - x * each) / 400));
    for (let i = Math.floor(x * each); i < end && i < samples.length; i += step) {
      const value = samples[i] / peak;
      if (value < least) least = value;
      if (value > most) most = value;
    }
    if (most >= least) context.fillRect(x, (top / 2) * (1 - 0.94 * most), 1, Math.max(scale, (top / 2) * 0.94 * (most - least)));
  }
  const step = Math.max(1, Math.round(rate / (2 * highest))), bins = SIZE / 2;
  const shown = Math.min(bins, Math.round((bins * highest * 2 * step) / rate));
  const columns = Math.min(width, 1200), values = new Float32Array(columns * shown);
  const re = new Float32Array(SIZE), im = new Float32Array(SIZE);
  let loudest = 1e-9;
  for (let x = 0; x < columns; x++) {
    spectrum(samples, Math.round(((x + 0.5) / columns) * samples.length - (SIZE * step) / 2), step, re, im);
    for (let y = 0; y < shown; y++) {
      const power = re[y] * re[y] + im[y] * im[y];
      values[x * shown + y] = power;
      if (power > loudest) loudest = power;
    }
  }
  const picture = new ImageData(columns, shown);
  for (let x = 0; x < columns; x++) {
    for (let y = 0; y < shown; y++) {
      const level = Math.max(0, 1 + Math.log10(values[x * shown + y] / loudest + 1e-12) / 6.2); // 62 dB
      const at = 4 * ((shown - 1 - y) * columns + x), white = Math.max(0, (level - 0.72) / 0.28);
      for (let c = 0; c < 3; c++) picture.data[at + c] = tone[c] * level ** 1.7 * (1 - white) + 255 * white;
      picture.data[at + 3] = 255 * Math.min(1, level * 1.6);
    }
  }
  const small = document.createElement("canvas");
  small.width = columns; small.height = shown;
  small.getContext("2d").putImageData(picture, 0, 0);
  context.imageSmoothingEnabled = true;
  context.drawImage(small, 0, 0, columns, shown, 0, top, width, low);
}
