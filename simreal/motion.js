// Plays the line segments of a moving figure on a canvas; a drag turns the view.
(function (id) {
  const data = JSON.parse(document.getElementById(id + "-data").textContent);
  const canvas = document.getElementById(id);
  const context = canvas.getContext("2d");
  let turn = 0.7;
  let tilt = 0.35;
  let from = null;
  canvas.onpointerdown = (event) => {
    from = [event.clientX, event.clientY];
    canvas.setPointerCapture(event.pointerId);
  };
  canvas.onpointerup = () => { from = null; };
  canvas.onpointermove = (event) => {
    if (!from) return;
    turn += (event.clientX - from[0]) / 120;
    tilt += (event.clientY - from[1]) / 120;
    from = [event.clientX, event.clientY];
  };

  // A point in m to [pixels right, pixels down, depth].
  function project(point) {
    const [x, y, z] = point.map((value, axis) => value - data.centre[axis]);
    const right = x * Math.cos(turn) + y * Math.sin(turn);
    const deep = y * Math.cos(turn) - x * Math.sin(turn);
    const up = z * Math.cos(tilt) - deep * Math.sin(tilt);
    const scale = 0.42 * canvas.height / data.radius;
    return [canvas.width / 2 + scale * right, canvas.height / 2 - scale * up,
            deep * Math.cos(tilt) + z * Math.sin(tilt)];
  }

  function draw(now) {
    const frame = Math.floor(Math.max(0, now - start) / 1000 * data.rate) % data.frames.length;
    context.clearRect(0, 0, canvas.width, canvas.height);
    const lines = data.frames[frame].map((ends, index) => ({
      a: project(ends.slice(0, 3)), b: project(ends.slice(3)),
      colour: data.colours[index], width: data.widths[index],
    }));
    lines.sort((first, second) => second.a[2] + second.b[2] - first.a[2] - first.b[2]);
    context.lineCap = "round";
    for (const { a, b, colour, width } of lines) {
      context.strokeStyle = colour;
      context.lineWidth = width;
      context.beginPath();
      context.moveTo(a[0], a[1]);
      context.lineTo(b[0], b[1]);
      context.stroke();
    }
    context.fillStyle = "#666";
    context.font = "14px system-ui";
    context.fillText((frame / data.rate).toFixed(1) + " s", 10, 20);
    requestAnimationFrame(draw);
  }
  const start = performance.now();
  requestAnimationFrame(draw);
})