-- technique: returns not a number and infinity; must: error
function run(input)
  return {0 / 0, 1 / 0}
end
