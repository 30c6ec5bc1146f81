-- technique: returns a function; must: error
function run(input)
  return {run}
end
