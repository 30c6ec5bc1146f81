-- technique: matches with eight lazy runs; must: limit
function run(input)
  return (('a'):rep(3000)):find(('.-'):rep(8) .. 'b')
end
