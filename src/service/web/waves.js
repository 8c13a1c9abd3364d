// Two lines of one colour each, tangled in the beginning, apart in the end.
const calm = matchMedia("(prefers-reduced-motion: reduce)");
let apart = 0, wanted = 0, shown = true;

export function untangle(share) { wanted = share; }
export function show(on) { shown = on; }

export function start(canvas) {
  const context = canvas.getContext("2d");
  const frame = (moment) => {
    requestAnimationFrame(frame);
    if (!shown || document.hidden) return;
    apart += (wanted - apart) * 0.06;
    const scale = window.devicePixelRatio || 1, width = canvas.clientWidth * scale, height = canvas.clientHeight * scale;
    if (canvas.width !== Math.round(width)) { canvas.width = Math.round(width); canvas.height = Math.round(height); }
    context.clearRect(0, 0, width, height);
    const t = calm.matches ? 0 : moment / 1000;
    context.globalCompositeOperation = "lighter";
    [["#4cc9b0", -1, 2.1, 0.9], ["#ff9f6b", 1, 2.9, 1.25]].forEach(([colour, side, slow, fast]) => {
      for (let copy = 0; copy < 3; copy++) {
        context.beginPath();
        context.strokeStyle = colour;
        context.globalAlpha = [0.9, 0.35, 0.15][copy];
        context.lineWidth = scale * [2.2, 1.6, 1.2][copy];
        for (let x = 0; x <= width; x += 3 * scale) {
          const u = x / width, hull = Math.sin(Math.PI * u) ** 1.4;
          const speech = 0.35 + 0.65 * Math.abs(Math.sin(slow * 2.3 * u * Math.PI + t * 0.6 * side + copy * 0.2));
          const y = Math.sin(u * 26 * fast + t * 1.9 * side + copy * 0.5 + slow) * Math.cos(u * 9 * slow - t * 0.7);
          const place = height / 2 + side * apart * height * 0.24;
          context.lineTo(x, place + y * hull * speech * height * (0.4 - 0.19 * apart));
        }
        context.stroke();
      }
    });
    context.globalAlpha = 1;
  };
  requestAnimationFrame(frame);
}
