package preview

import (
	"cmp"
	"image"
	"image/color"
	"slices"
)

// quantize gives a picture a palette of its most frequent colours; a pixel of
// another colour gets the nearest. That is enough for a drawing, which has few
// colours and their shades at the edges of letters.
func quantize(img image.Image) *image.Paletted {
	bounds := img.Bounds()
	counts := map[color.RGBA]int{}
	for y := bounds.Min.Y; y < bounds.Max.Y; y++ {
		for x := bounds.Min.X; x < bounds.Max.X; x++ {
			counts[coarse(img.At(x, y))]++
		}
	}
	all := make([]color.RGBA, 0, len(counts))
	for c := range counts {
		all = append(all, c)
	}
	slices.SortFunc(all, func(a, b color.RGBA) int {
		if order := cmp.Compare(counts[b], counts[a]); order != 0 {
			return order
		}
		return cmp.Compare(key(a), key(b))
	})
	chosen := color.Palette{}
	for _, c := range all[:min(256, len(all))] {
		chosen = append(chosen, c)
	}
	out := image.NewPaletted(bounds, chosen)
	index := map[color.RGBA]uint8{}
	for y := bounds.Min.Y; y < bounds.Max.Y; y++ {
		for x := bounds.Min.X; x < bounds.Max.X; x++ {
			c := coarse(img.At(x, y))
			i, ok := index[c]
			if !ok {
				i = uint8(chosen.Index(c))
				index[c] = i
			}
			out.SetColorIndex(x, y, i)
		}
	}
	return out
}

// coarse drops the last two bits of each channel, which nobody sees.
func coarse(c color.Color) color.RGBA {
	r, g, b, _ := c.RGBA()
	keep := func(v uint32) uint8 { return uint8(v>>8)&^3 | 1 }
	return color.RGBA{keep(r), keep(g), keep(b), 255}
}

func key(c color.RGBA) int { return int(c.R)<<16 | int(c.G)<<8 | int(c.B) }
