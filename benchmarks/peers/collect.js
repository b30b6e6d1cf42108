// On SIGUSR2: collect the garbage, so that resident memory holds as little of it as can be, and say so.
process.on("SIGUSR2", () => {
  gc();
  gc();
  console.log("collected");
});
