// Tracks of one length that play in step; which of them are heard can change at any moment.
const FADE = 0.012; // seconds: no click

export class Player {
  constructor(changed) { this.changed = changed; this.tracks = []; this.playing = false; this.offset = 0; }

  // buffers: AudioBuffer of each track
  load(buffers) {
    this.stop();
    this.tracks = buffers.map((buffer, i) => ({ buffer, solo: i === 0, mute: false, gain: null, source: null }));
    this.duration = Math.max(...buffers.map((buffer) => buffer.duration));
    this.offset = 0;
    this.changed();
  }

  get time() {
    if (!this.playing) return this.offset;
    return Math.min(this.duration, this.offset + Math.max(0, this.context.currentTime - this.begun));
  }

  // The first track is the mixture: it is heard alone or not, the others also together.
  heard(track) {
    return this.tracks.some((other) => other.solo) ? track.solo : !track.mute && track !== this.tracks[0];
  }

  play() {
    if (!this.tracks.length || this.playing) return;
    this.context ??= new AudioContext();
    this.context.resume();
    if (this.offset >= this.duration - 0.01) this.offset = 0;
    this.begun = this.context.currentTime + 0.03;
    for (const track of this.tracks) {
      track.gain = this.context.createGain();
      track.gain.gain.value = this.heard(track) ? 1 : 0;
      track.gain.connect(this.context.destination);
      track.source = this.context.createBufferSource();
      track.source.buffer = track.buffer;
      track.source.connect(track.gain);
      track.source.start(this.begun, this.offset);
    }
    const first = this.tracks[0].source;
    first.onended = () => { if (this.playing && this.tracks[0].source === first) { this.stop(); this.offset = this.duration; this.changed(); } };
    this.playing = true;
    this.changed();
  }

  stop() {
    this.offset = this.time || 0;
    const was = this.playing;
    this.playing = false;
    if (was) for (const track of this.tracks) { track.source.stop(); track.gain.disconnect(); }
    this.changed();
  }

  toggle() { this.playing ? this.stop() : this.play(); }

  seek(seconds) {
    const was = this.playing;
    if (was) this.stop();
    this.offset = Math.max(0, Math.min(this.duration, seconds));
    if (was) this.play();
    this.changed();
  }

  // This track and no other; once more: all voices.
  solo(index) {
    const already = this.tracks[index].solo;
    this.tracks.forEach((track, i) => { track.solo = !already && i === index; });
    this.tracks[index].mute = false;
    this._mix();
  }

  mute(index) {
    const track = this.tracks[index];
    track.mute = !track.mute;
    if (track.mute) this.tracks.forEach((other) => { other.solo = false; }); // a muted track beside a solo one says nothing
    this._mix();
  }

  _mix() {
    if (this.playing) for (const track of this.tracks) track.gain.gain.setTargetAtTime(this.heard(track) ? 1 : 0, this.context.currentTime, FADE);
    this.changed();
  }
}
