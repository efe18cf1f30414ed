// The tones of a contactless reader (EMV Contactless Book A, 9.3: one tone for success, two lower ones for an
// alert), made by WebAudio. Silent until the user turns them on.

let context = null;

export const sound = {
  isOn: false,
  turn(on) {
    this.isOn = on;
    if (on) {
      context ??= new AudioContext();
      context.resume();
    }
  },
  play(kind) {
    if (!this.isOn || !context) return;
    if (kind === 'success') tone(1500, 0, 0.5);
    if (kind === 'alert') {
      tone(750, 0, 0.2);
      tone(750, 0.4, 0.2);
    }
  },
};

function tone(frequency, after, length) {
  const start = context.currentTime + after;
  const oscillator = context.createOscillator();
  const volume = context.createGain();
  oscillator.type = 'sine';
  oscillator.frequency.value = frequency;
  volume.gain.setValueAtTime(0, start);
  volume.gain.linearRampToValueAtTime(0.18, start + 0.01);
  volume.gain.setValueAtTime(0.18, start + length - 0.02);
  volume.gain.linearRampToValueAtTime(0, start + length);
  oscillator.connect(volume).connect(context.destination);
  oscillator.start(start);
  oscillator.stop(start + length);
}
